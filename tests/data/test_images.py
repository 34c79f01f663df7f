"""Pictures find what belongs to them: sub-folders, a file of names and texts inside or outside, IDX labels."""

import json
import zipfile
from pathlib import Path

import pytest

from seq2see.data.image_survey import picture_size, survey_pictures
from seq2see.data.images import PictureSet, holds_pictures, open_pictures
from seq2see.data.picture_files import picture_files
from seq2see.errors import InputError
from small_pictures import SIDE, captioned, idx, png, square, write_folders, write_idx, write_zip

PICTURES = captioned(6)
MOST = 10_000_000


def contents(pictures: PictureSet) -> dict[str, bytes]:
    return {raw.name: raw.data for raw in pictures.raws()}


def test_folders_are_classes(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "shapes", PICTURES)
    (root / "readme.txt").write_text("about")
    (root / ".hidden.png").write_bytes(b"x")
    found = open_pictures(root)
    assert found.texts == {f"{caption.split()[0]}/{name}": (caption.split()[0],) for name, caption, _ in PICTURES}
    assert contents(found) == {f"{caption.split()[0]}/{name}": content for name, caption, content in PICTURES}
    assert "folders, which are the classes" in found.notes[0]


def test_captions_beside_the_pictures(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "icons.zip", PICTURES)
    found = open_pictures(archive)
    assert found.texts == {name: (caption,) for name, caption, _ in PICTURES}
    assert contents(found) == {name: content for name, _, content in PICTURES}
    assert any("captions.tsv" in note for note in found.notes)


@pytest.mark.parametrize("form", ["tsv", "csv", "jsonl", "header", "bare names", "columns", "backslashes"])
def test_captions_in_a_file_of_their_own(tmp_path: Path, form: str) -> None:
    archive = write_zip(tmp_path / "icons.zip", [(f"top/{name}", "", content) for name, _, content in PICTURES])
    rows = [(name, caption) for name, caption, _ in PICTURES]
    lines = {
        "tsv": [f"{name}\t{caption}" for name, caption in rows],
        "csv": [f'{name},"{caption}"' for name, caption in rows],
        "jsonl": [json.dumps({"file": f"top/{name}", "caption": caption}) for name, caption in rows],
        "header": ["image\tcaption", *(f"{name}\t{caption}" for name, caption in rows)],
        "bare names": [f"{name.removesuffix('.png')}\t{caption}" for name, caption in rows],
        "columns": [f"x\t{caption}\t{name}" for name, caption in rows],
        "backslashes": [f"top\\{name}\t{caption}" for name, caption in rows],
    }[form]
    path = tmp_path / f"texts.{form if form in ('csv', 'jsonl') else 'tsv'}"
    path.write_text("\n".join(lines) + "\n")
    found = open_pictures(source=archive, target=path, columns=("3", "2") if form == "columns" else None)
    assert found.texts == {f"top/{name}": (caption,) for name, caption in rows}
    assert not any("not there" in note for note in found.notes)


def test_several_captions_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "icons.zip", PICTURES)
    path = tmp_path / "texts.tsv"
    path.write_text("0.png\tone\n0.png\ttwo\n1.png\t \n9.png\tnothing\n2.png\tthree\n")
    found = open_pictures(source=archive, target=path)
    assert found.texts == {"0.png": ("one", "two"), "2.png": ("three",)}
    said = " ".join(found.notes)
    assert "a blank text: 1 (line 3)" in said
    assert "rows whose picture is not there: 1 (line 4: 9.png)" in said
    assert "4 pictures of which nothing is said" in said


def test_idx_finds_its_labels(tmp_path: Path) -> None:
    path = write_idx(tmp_path, "train", PICTURES)
    for found in (open_pictures(path), open_pictures(source=path, target=tmp_path / "train-labels-idx1-ubyte.gz")):
        assert found.texts == {
            str(number): (str(int(caption.endswith("right"))),) for number, (_, caption, _) in enumerate(PICTURES)
        }
        assert {raw.shape for raw in found.raws()} == {(SIDE, SIDE, 1)}
    (tmp_path / "names.tsv").write_text("0\tzero\n2\ttwo\n")
    named = open_pictures(source=path, target=tmp_path / "names.tsv")
    assert [raw.name for raw in named.raws()] == ["0", "2"]


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    path = write_idx(tmp_path, "train", PICTURES)
    (tmp_path / "few").write_bytes(idx(2, data=b"\0\1"))
    archive = write_zip(tmp_path / "icons.zip", PICTURES)
    (tmp_path / "other.tsv").write_text("a.png\tx\nb.png\ty\n")
    (tmp_path / "empty").mkdir()
    one = write_folders(tmp_path / "one", [each for each in PICTURES if each[1] == PICTURES[0][1]])
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "alone.gz").write_bytes(path.read_bytes())
    cases = [
        ({"source": path, "target": tmp_path / "few"}, "6 pictures, but .* has 2 labels"),
        ({"file": tmp_path / "alone.gz"}, "pictures only; name the file with their labels"),
        (
            {"source": archive, "target": tmp_path / "other.tsv"},
            "no row of other.tsv names .*'a.png'.*'0.png'",
        ),
        ({"file": tmp_path / "empty"}, "no picture that ends in .png, .jpg, .jpeg; it holds no file"),
        ({"file": one}, "one folder, which makes no classes"),
        ({"file": tmp_path / "text.txt"}, "no pictures in a way that is read"),
        ({"file": one / PICTURES[0][1].split()[0] / "0.png"}, "is a single picture"),
        ({"file": tmp_path / "gone"}, "There is no file"),
        ({"file": "-"}, "cannot come from standard input"),
        ({"file": "a\0b"}, "cannot be the name of a file"),
        ({}, "give the pictures"),
        ({"file": path, "target": path}, "give the pictures"),
        ({"source": archive, "target": tmp_path / "gone.tsv"}, "There is no file"),
    ]
    for given, message in cases:
        with pytest.raises(InputError, match=message):
            open_pictures(**given)


def test_what_can_be_pictures(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", PICTURES)
    (tmp_path / "t.tsv").write_text("a\tb\n")
    places = [archive, write_idx(tmp_path, "x", PICTURES), tmp_path, tmp_path / "t.tsv", tmp_path / "gone", "-"]
    assert [holds_pictures(place) for place in places] == [True, True, True, False, False, False]


def test_the_survey_says_what_there_is(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "shapes", PICTURES)
    folder = PICTURES[0][1].split()[0]
    found = survey_pictures(open_pictures(root), MOST)
    assert found.sizes == {(SIDE, SIDE): 6} and found.grey == 0 and not found.damaged.count
    size, reason = picture_size(found)
    assert (size.height, size.width, size.colour) == (SIDE, SIDE, "rgb") and "as they are" in reason
    (root / folder / "bad.png").write_bytes(b"no picture")
    (root / folder / "tall.png").write_bytes(png(square("red", True, True).resize((30, 300))))
    again = survey_pictures(open_pictures(root), MOST)
    assert again.pictures == 7
    assert "bad.png is no PNG or JPEG" in again.sentences()[1]
    assert again.content != found.content
    assert picture_size(again)[0].height == SIDE  # the median
    with pytest.raises(InputError, match="no picture that can be used"):
        survey_pictures(open_pictures(root), 10)


@pytest.mark.parametrize(
    ("sizes", "grey", "wanted"),
    [
        ({(28, 28): 5}, 5, (28, 28, "grey")),
        ({(28, 28): 5}, 4, (28, 28, "rgb")),
        ({(128, 100): 5}, 0, (100, 128, "rgb")),
        ({(640, 480): 5}, 0, (48, 64, "rgb")),
        ({(640, 480): 2, (480, 640): 3}, 0, (64, 64, "rgb")),
        ({(20, 10): 2, (10, 20): 3}, 5, (20, 20, "grey")),
        ({(2, 2): 2}, 0, (64, 64, "rgb")),
    ],
)
def test_the_size_follows_from_the_pictures(
    sizes: dict[tuple[int, int], int], grey: int, wanted: tuple[int, int, str]
) -> None:
    from collections import Counter

    from seq2see.data.image_survey import PictureSurvey
    from seq2see.data.images import Named

    size, _ = picture_size(PictureSurvey(Counter(sizes), grey, Named(), ""))
    assert (size.height, size.width, size.colour) == wanted


def test_the_content_is_names_bytes_and_texts(tmp_path: Path) -> None:
    rows = [("0.png", "a", PICTURES[0][2]), ("1.png", "b", PICTURES[1][2])]
    found = set()
    for number, changed in enumerate(
        (rows, rows[::-1], [("0.png", "a", PICTURES[2][2]), rows[1]], [("0.png", "c", rows[0][2]), rows[1]])
    ):
        found.add(survey_pictures(open_pictures(write_zip(tmp_path / f"{number}.zip", changed)), MOST).content)
    assert len(found) == 4


def test_paths_into_archives(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "icons.zip", PICTURES)
    path = write_idx(tmp_path, "x", PICTURES)
    (tmp_path / "a.png").write_bytes(PICTURES[0][2])
    asked = [f"{archive}/3.png", str(tmp_path / "a.png"), f"{path}/5", f"{archive}/1.png", f"{archive}/3.png"]
    found = picture_files(asked, MOST)
    assert [raw.name for raw in found] == asked
    assert [raw.data for raw in found[:2]] == [PICTURES[3][2], PICTURES[0][2]]
    assert found[2].shape == (SIDE, SIDE, 1) and found[3].data == PICTURES[1][2]
    for bad, message in (
        (f"{archive}/9.png", "no such picture in"),
        (f"{path}/6", "no such picture in"),
        (str(tmp_path), "is a folder; name one picture"),
        (str(tmp_path / "b.png"), "There is no file"),
        (f"{tmp_path}/a.png/b.png", "is a single picture"),
        ("x\0y", "cannot be the name"),
    ):
        with pytest.raises(InputError, match=message):
            picture_files([bad], MOST)


def test_an_archive_is_read_once_for_all_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, opened = write_zip(tmp_path / "icons.zip", PICTURES), []
    original = zipfile.ZipFile.__init__

    def counted(self: zipfile.ZipFile, *args: object, **others: object) -> None:
        opened.append(1)
        original(self, *args, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(zipfile.ZipFile, "__init__", counted)
    picture_files([f"{archive}/{number}.png" for number in range(6)], MOST)
    assert len(opened) == 1
