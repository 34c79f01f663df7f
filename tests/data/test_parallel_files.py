import random
from pathlib import Path

import pytest

from seq2see.data.parallel import check_parallel, parting
from seq2see.data.streams import input_file
from seq2see.errors import InputError


def lengths(count: int, seed: int) -> tuple[list[int], list[int]]:
    """Lengths of sentences and of their translations, which are about 1.2 times as long."""
    draw = random.Random(seed)
    source = [draw.randint(10, 120) for _ in range(count)]
    return source, [round(length * draw.uniform(1.0, 1.4)) for length in source]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("place", "surplus"), [(0, 1), (37, 1), (500, 3), (900, 1)])
def test_lines_put_into_one_file_are_found(seed: int, place: int, surplus: int) -> None:
    source, target = lengths(1_000, seed)
    longer = target[:place] + [5 + i for i in range(surplus)] + target[place:]
    found = parting(source, longer, surplus)
    assert found is not None
    assert abs(found - place) <= 5


def test_lines_at_the_end_cannot_be_seen() -> None:
    source, target = lengths(300, 1)
    assert parting(source, [*target, 40], 1) is None


def test_equal_lengths_tell_nothing() -> None:
    assert parting([7] * 20, [7] * 21, 1) is None
    assert parting([], [3], 1) is None


def write(path: Path, counts: list[int]) -> Path:
    path.write_text("".join("x" * count + "\n" for count in counts))
    return path


def test_unequal_files_are_refused_with_both_counts_and_the_place(tmp_path: Path) -> None:
    source, target = lengths(1_000, 3)
    paths = write(tmp_path / "s", source), write(tmp_path / "t", target[:444] + target[445:])
    with pytest.raises(InputError, match=r"s has 1,000 lines and .*t has 999; .* near line 44\d"):
        check_parallel(input_file(paths[0]), input_file(paths[1]), 1_000_000)
    with pytest.raises(InputError, match=r"t has 999 lines and .*s has 1,000; .* near line 44\d"):
        check_parallel(input_file(paths[1]), input_file(paths[0]), 1_000_000)


def test_files_of_quite_different_size_are_doubted(tmp_path: Path) -> None:
    paths = write(tmp_path / "s", [5] * 100), write(tmp_path / "t", [5] * 9)
    with pytest.raises(InputError, match=r"s has 100 lines and .*t has 9; .* two sides of the same text"):
        check_parallel(input_file(paths[0]), input_file(paths[1]), 1_000_000)


def test_equal_files_give_their_count(tmp_path: Path) -> None:
    paths = write(tmp_path / "s", [3, 0, 4]), tmp_path / "t"
    paths[1].write_bytes("a\u2028b\x85c\r\n\n\x0bend without newline".encode())
    assert check_parallel(input_file(paths[0]), input_file(paths[1]), 1_000_000) == 3
