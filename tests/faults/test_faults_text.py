"""B12 to B16, B23, B24: texts that are odd, hostile or endless, through ``predict``, ``see`` and ``train``."""

import json
import shutil
import time
import unicodedata
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tiny_runs import train, vouched

from small_task import Command, reversed_pairs, write_pairs

RESERVED = ["<s>", "</s>", "<unk>", "<pad>", "<eos>", "<sos>", "▁", "<0x0A>", "[UNK]", "##s"]


def _answers(seq2see: Command, run: Path, *texts: str, options: tuple[object, ...] = ()) -> list[dict[str, object]]:
    answer = seq2see("predict", run, *options, "--format", "jsonl", "--", *texts)
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.split("\n")[:-1]]


@pytest.mark.parametrize("kind", ["char", "word", "byte", "bpe", "unigram"])
def test_b12_reserved_strings_are_text(seq2see: Command, tmp_path: Path, kind: str) -> None:
    """In training they become pieces of their own letters; at use none of them ends or pads a sentence."""
    pairs = [(f"{source} {RESERVED[at % 10]}", source) for at, (source, _) in enumerate(reversed_pairs(60))]
    data, record = write_pairs(tmp_path / "pairs.tsv", pairs), tmp_path / "record.json"
    run, small = tmp_path / "run", ("--set", f"text.kind={kind}", "--set", "text.vocabulary=400")
    answer = seq2see(*train(data, run, *small, "--steps", 1))
    assert answer.code == 0, answer.err
    text = "one </s> two <unk> <pad> ▁ three"
    answer = seq2see("see", run, text, "--json", record)
    assert answer.code == 0, answer.err
    source = json.loads(record.read_text(encoding="utf-8"))["source"]
    assert source["text"] == text
    assert source["special"] == [False] * (len(source["pieces"]) - 1) + [True]
    covered = sorted({tuple(span) for span in source["spans"]})  # bytes of one letter share its span
    assert "".join(text[start:end] for start, end in covered).replace(" ", "") == text.replace(" ", "")


def test_b12_nothing_known_in_the_sentence(seq2see: Command, trained: Path) -> None:
    """Another script, all of it unknown to a vocabulary of words: an answer, and no special name in it."""
    for answer in _answers(seq2see, trained, "привет мир", "안녕 세상", "xyzzy", *RESERVED):
        assert answer["finished"] == ("copied" if answer["source"] == "▁" else "eos")
        assert not any(name in str(answer["text"]) for name in ("<unk>", "<s>", "</s>", "<pad>", "<eos>", "�"))


COPIED = ["", " ", "\t", "\u3000", "-", "...", "👍", "👩‍👩‍👧‍👦 🇰🇷", " " * 10_000, "\u200b", "\ufeff", "\u202e"]


def test_b13_what_holds_no_letter_comes_back_unchanged(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    answer = seq2see("predict", trained, "--", *COPIED)
    assert answer.code == 0, answer.err
    assert answer.out == "".join(f"{text}\n" for text in COPIED)
    assert [each["text"] for each in _answers(seq2see, trained, *COPIED, "\n\n")] == [*COPIED, "\n\n"]
    (tmp_path / "in.txt").write_text("".join(f"{text}\n" for text in COPIED), encoding="utf-8")
    assert seq2see("predict", trained, "--input", tmp_path / "in.txt").out.count("\n") == len(COPIED)
    for text in COPIED:
        answer = seq2see("see", trained, "--", text)
        assert answer.code == 2
        assert "nothing to work on" in answer.err
        assert answer.err.count("\n") == 1


def test_b13_one_character(seq2see: Command, trained: Path) -> None:
    for answer in _answers(seq2see, trained, "a", "1", "가", "é"):
        assert answer["finished"] in ("eos", "length")
    assert seq2see("see", trained, "a").code == 0


@pytest.mark.parametrize("text", ["\ud800", "one \ud83d two", "\udcff", "one\udfff"])
@pytest.mark.parametrize("options", [(), ("--format", "jsonl")])
def test_b14_half_a_character_is_refused(seq2see: Command, trained: Path, text: str, options: tuple[str, ...]) -> None:
    for command in (
        ("predict", trained, "good", text, *options),
        ("see", trained, text),
        ("see", trained, "one", "--target", text),
    ):
        answer = seq2see(*command)
        assert answer.code == 2, answer.out
        assert answer.err.count("\n") == 1
        assert "fault in seq2see" not in answer.err
        assert answer.out == ""


def test_b14_bytes_that_are_no_text_in_a_file(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"one\nt\xedwo\n")
    answer = seq2see("predict", trained, "--input", tmp_path / "in.txt", "--output", tmp_path / "out.txt")
    assert answer.code == 2
    assert "line 2, byte 2 of the line" in answer.err
    assert not (tmp_path / "out.txt").exists()


@pytest.fixture(scope="module")
def accented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on letters with marks, Hangul and Devanagari, trained for a moment. Do not change it."""
    from seq2see.tasks.reporting import silent
    from seq2see.tasks.training import train as train_run

    words = ["é", "ñandú", "한국", "हिन्दी", "Ångström", "ﬁn", "Ｗ", "İstanbul", "ới", "שלום"]
    folder = tmp_path_factory.mktemp("accented")
    pairs = [(f"{words[at % 10]} {words[at // 10]} {at}", words[at % 7]) for at in range(100)]
    settings = {"text.kind": "char", "model.encoder.width": 32, "model.decoder.width": 32, "training.seed": 3}
    data = write_pairs(folder / "pairs.tsv", pairs)
    train_run(data, model="lstm-attention", settings=settings, steps=40, out=folder / "run", reporter=silent())
    return folder / "run"


def test_b15_every_spelling_of_a_text_has_one_answer(seq2see: Command, accented: Path) -> None:
    texts = ["é ñandú", "한국 Ångström 7", "ới é", "が ポ", "הּ \u0958"]
    for text in texts:
        forms = {text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))}
        assert len(forms) > 1
        answers = _answers(seq2see, accented, *forms)
        assert len({answer["text"] for answer in answers}) == 1
        assert max(answer["score"] for answer in answers) - min(answer["score"] for answer in answers) < 1e-4


ODD = {
    "full width": "Ｗ Ｏ Ｎ",
    "ligature": "ﬁn ﬂ",
    "dotted capital": "İstanbul",
    "joined emoji": "é 👩‍👩‍👧‍👦 é",
    "zero width": "o\u200bne\u200d two\u2060",
    "right to left": "one שלום two",
    "override": "one \u202etwo\u202c \u2066three\u2069 four",
    "marks": "e" + "\u0301" * 60,
    "steering": "one \x1b[2J\x1b]0;title\x07 two \x9b31m three \x00 \x7f \r four",
}


@pytest.mark.parametrize("kind", ODD)
def test_b15_b16_odd_text_is_answered_and_drawn_legibly(
    seq2see: Command, accented: Path, tmp_path: Path, kind: str
) -> None:
    """Nothing reaches the terminal that steers it; pages and drawings hold text, not code."""
    files = {end: tmp_path / f"view.{end}" for end in ("html", "svg", "json")}
    options = [part for end, path in files.items() for part in (f"--{end}", path)]
    assert len(_answers(seq2see, accented, ODD[kind])) == 1
    answer = seq2see("see", accented, ODD[kind], *options)
    assert answer.code == 0, answer.err
    steering = [char for char in answer.out if unicodedata.category(char) in ("Cc", "Cs") and char != "\n"]
    assert not steering
    assert not set(answer.out) & set("\u202a\u202b\u202c\u202d\u202e")
    assert max(map(len, answer.out.splitlines())) < 1_000
    svg = files["svg"].read_text(encoding="utf-8")
    assert not {char for char in svg if unicodedata.category(char) == "Cc" and char not in "\n\t"}
    assert json.loads(files["json"].read_text(encoding="utf-8"))["source"]["special"][-1]


def test_b15_a_thousand_marks_on_one_letter(seq2see: Command, accented: Path) -> None:
    """An answer from ``predict``; ``see`` says how much a picture holds."""
    text = "é " + "e" + "\u0301" * 1_000
    (answer,) = _answers(seq2see, accented, text)
    assert answer["finished"] in ("eos", "length")
    refused = seq2see("see", accented, text)
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "a picture holds 512" in refused.err


CODE = "one </script><script>alert(1)</script> <img src=x onerror=alert(1)> {{7*7}} ${7*7} =cmd()|' /C calc'!A0 two"


def test_b16_code_in_a_text_is_text_everywhere(seq2see: Command, trained: Path, tmp_path: Path) -> None:
    page, svg = tmp_path / "view.html", tmp_path / "view.svg"
    answer = seq2see("see", trained, CODE, "--target", CODE, "--html", page, "--svg", svg)
    assert answer.code == 0, answer.err
    html = page.read_text(encoding="utf-8")
    assert "<img src" not in html
    assert "<script>alert" not in html
    assert html.count("</script>") == html.count("<script")
    for text in (html, svg.read_text(encoding="utf-8")):
        assert "49" not in text.partition("{{7*7}}")[2][:10]
    assert "<img" not in svg.read_text(encoding="utf-8")


def test_b16_hostile_data_cannot_act_while_training(seq2see: Command, tmp_path: Path) -> None:
    """In what is printed, in the report, and in the name of the file itself."""
    hostile = "\x1b[31m \x1b]0;title\x07 </script><img src=x onerror=alert(1)> \u202e"
    pairs = [
        (f"{source} {hostile} {at}", f"{target} {hostile}") for at, (source, target) in enumerate(reversed_pairs(60))
    ]
    data = write_pairs(tmp_path / "ev\x1b[31mil<img src=x>.tsv", pairs)
    run = tmp_path / "run\x1b[1m"
    answer = seq2see(*train(data, run))
    assert answer.code == 0, answer.err
    assert not set(answer.out) & set("\x1b\x07\u202e")
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "<img src" not in report
    assert not set(report) & set("\x1b\x07")
    for arguments in (("evaluate", run, data), ("see", run, "one", "--json", tmp_path / "\x1b[1mrecord.json")):
        answer = seq2see(*arguments)
        assert answer.code == 0, answer.err
        assert not set(answer.out) & set("\x1b\x07\u202e")
    answer = seq2see("predict", tmp_path / "no\x1b[31mthing", "one")
    assert answer.code == 2
    assert "\x1b" not in answer.err


def test_b16_a_terminal_is_not_steered_by_answers(
    seq2see: Command, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file gets the text as it is; a terminal gets it visibly."""
    text = "\x1b[?;:\u202e"
    assert seq2see("predict", trained, text).out == text + "\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert not set(seq2see("predict", trained, text).out) & set("\x1b\u202e")


@pytest.fixture(scope="module")
def endless(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that never ends a sentence of its own accord. Do not change it."""
    run = tmp_path_factory.mktemp("endless") / "run"
    shutil.copytree(trained, run)
    tensors = load_file(run / "weights.safetensors")
    tensors["decoder.output.bias_V"][2] = -1e4
    save_file(tensors, run / "weights.safetensors")
    return vouched(run)


@pytest.mark.parametrize("options", [("--beam", 1), ("--beam", 8), ("--beam", 4, "--nbest", 4), ("--sample",)])
def test_b23_a_trap_of_repetitions_ends_at_the_limit_and_says_so(
    seq2see: Command, endless: Path, options: tuple[object, ...]
) -> None:
    for count in (1, 5, 200):
        (answer,) = _answers(seq2see, endless, "one " * count, options=options)
        assert answer["finished"] == "length"
        assert len(answer["pieces"]) == 2 * count + 20  # type: ignore[arg-type]
    (answer,) = _answers(seq2see, endless, "one " * 500, options=options)  # longer than a sentence it was trained on
    assert answer["finished"] == "length"
    assert len(answer["pieces"]) <= 2 * 500 + 2 * 20  # type: ignore[arg-type]
    (answer,) = _answers(seq2see, endless, "one two", options=(*options, "--max-length", 7))
    assert (answer["finished"], len(answer["pieces"])) == ("length", 7)  # type: ignore[arg-type]
    rest = _answers(seq2see, endless, "one two", options=(*options, "--no-repeat", 2))
    assert rest[0]["finished"] == "length"


def test_b23_time_grows_with_the_length_and_not_faster(seq2see: Command, endless: Path) -> None:
    def seconds(words: int) -> float:
        start = time.process_time()
        assert seq2see("predict", endless, "one " * words, "--beam", 2).code == 0
        return time.process_time() - start

    seconds(500)
    assert min(seconds(4_000), seconds(4_000)) <= 2.5 * max(seconds(2_000), seconds(2_000)) + 0.2


ADVERSARIAL = {
    "one letter": "a" * 100_000,
    "scripts in turn": "aж한" * 33_333,
    "brackets": "(" * 50_000 + "a" + ")" * 50_000,
    "marks": "e\u0323\u0301" * 33_333,
    "blanks": "a" + " " * 100_000 + "b",
    "lone words": "a b " * 25_000,
}


@pytest.mark.parametrize("kind", ADVERSARIAL)
def test_b24_adversarial_strings_take_linear_time(seq2see: Command, trained: Path, kind: str) -> None:
    """A vocabulary of words makes one piece of many letters, so that nothing but the text itself takes time."""
    text = ADVERSARIAL[kind]
    part = 10 if kind == "lone words" else 1

    def seconds(size: int) -> float:
        start = time.process_time()
        assert seq2see("predict", trained, text[: size // part], "--beam", 1).code == 0
        return time.process_time() - start

    seconds(1_000)
    half = max(seconds(50_000), seconds(50_000))
    assert min(seconds(100_000), seconds(100_000)) <= 2.5 * half + 0.2
