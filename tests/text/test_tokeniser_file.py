import copy
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_samples import SENTENCES, texts

from seq2see.config.settings import TextSettings, TokeniserKind
from seq2see.errors import InputError
from seq2see.text import stored
from seq2see.text.tokeniser import Tokeniser, TokeniserPair, train_pair

KINDS: tuple[TokeniserKind, ...] = ("char", "word", "byte", "bpe", "unigram")
PAIRS = list(pairwise(SENTENCES))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("joint", [True, False])
def test_what_is_loaded_is_what_was_saved(tmp_path: Path, kind: TokeniserKind, joint: bool) -> None:
    chosen = TextSettings(kind=kind, joint=joint, vocabulary=300, normalisation="NFKC", lowercase=True)
    pair = train_pair(lambda: PAIRS, chosen)
    path = tmp_path / "tokenizer.json"
    pair.save(path)
    again = TokeniserPair.load(path)
    assert again.joint == joint and again.source.settings == chosen
    assert again.source.to_json() == pair.source.to_json()
    assert again.target.to_json() == pair.target.to_json()
    assert again.source.encode_ids(SENTENCES) == pair.source.encode_ids(SENTENCES)
    written = json.loads(path.read_text(encoding="utf-8"))
    assert ("target" in written) != joint
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


@settings(deadline=None, max_examples=40)
@given(st.lists(texts(4), min_size=1, max_size=4), st.sampled_from(KINDS))
def test_any_tokeniser_survives_its_json(corpus: list[str], kind: TokeniserKind) -> None:
    tokeniser = Tokeniser.train([*corpus, "x"], TextSettings(kind=kind, vocabulary=300))
    text = json.dumps(tokeniser.to_json())
    again = Tokeniser.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert again.encode_ids(corpus) == tokeniser.encode_ids(corpus)


@pytest.fixture(scope="module")
def saved() -> dict[TokeniserKind, str]:
    return {
        kind: json.dumps(Tokeniser.train(SENTENCES, TextSettings(kind=kind, vocabulary=280)).to_json())
        for kind in KINDS
    }


def vocabulary(data: dict[str, Any]) -> Any:
    return data["tokenizer"]["model"]["vocab"]


def put(data: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    for name in parents:
        data = data[name]
    data[last] = value


SPOILED: dict[str, tuple[TokeniserKind, Callable[[dict[str, Any]], object], str]] = {
    "newer": ("bpe", lambda d: put(d, "format", 2), "format is 2, written by a newer"),
    "no format": ("bpe", lambda d: d.pop("format"), '"format": 1'),
    "format true": ("bpe", lambda d: put(d, "format", True), '"format": 1'),
    "no settings": ("bpe", lambda d: d.pop("settings"), "settings"),
    "unknown setting": ("bpe", lambda d: put(d, "settings.speed", 1), "settings.speed"),
    "wrong setting": ("bpe", lambda d: put(d, "settings.vocabulary", "many"), "settings.vocabulary"),
    "other kind": ("bpe", lambda d: put(d, "settings.kind", "unigram"), "Unigram"),
    "byte for bpe": ("byte", lambda d: put(d, "settings.kind", "char"), "piece 4 must be '<0x00>'"),
    "no tokenizer": ("bpe", lambda d: d.pop("tokenizer"), "tokenizer"),
    "tokenizer a list": ("bpe", lambda d: put(d, "tokenizer", []), "tokenizer"),
    "model a number": ("bpe", lambda d: put(d, "tokenizer.model", 3), "model"),
    "vocabulary a list": ("bpe", lambda d: put(d, "tokenizer.model.vocab", ["a"]), "whole numbers"),
    "ids as text": ("bpe", lambda d: vocabulary(d).update({"a": "7"}), "whole numbers"),
    "ids true": ("word", lambda d: vocabulary(d).update({"< sos >": True}), "whole numbers"),
    "gap": ("word", lambda d: vocabulary(d).update({"zzz": 10**6}), "0 to"),
    "negative": ("word", lambda d: vocabulary(d).update({"zzz": -1}), "0 to"),
    "same id": ("word", lambda d: vocabulary(d).update({"zzz": 7}), "0 to"),
    "no <eos>": ("word", lambda d: vocabulary(d).update({"<eos>": vocabulary(d).pop("< eos >")}), "piece 2 must"),
    "byte missing": ("bpe", lambda d: vocabulary(d).update({"ab": vocabulary(d).pop("a")}), "must be 'a'"),
    "word with blank": ("word", lambda d: vocabulary(d).update({"a b": len(vocabulary(d))}), "cannot come"),
    "word of nothing": ("word", lambda d: vocabulary(d).update({"": len(vocabulary(d))}), "cannot come"),
    "surrogate": ("word", lambda d: vocabulary(d).update({"\ud800": len(vocabulary(d))}), "cannot come"),
    "character of two": ("char", lambda d: vocabulary(d).update({"ab": len(vocabulary(d))}), "cannot come"),
    "257 bytes": ("byte", lambda d: vocabulary(d).update({"ab": len(vocabulary(d))}), "260 pieces"),
    "not the alphabet": ("bpe", lambda d: vocabulary(d).update({"漢": len(vocabulary(d))}), "cannot come"),
    "piece without merge": ("bpe", lambda d: vocabulary(d).update({"zq": len(vocabulary(d))}), "merges make"),
    "merge of unknowns": ("bpe", lambda d: d["tokenizer"]["model"]["merges"].insert(0, ["the", "the"]), "merge 0"),
    "merge twice": ("bpe", lambda d: d["tokenizer"]["model"]["merges"].extend(
        d["tokenizer"]["model"]["merges"][:1]), "twice"),
    "merge of three": ("bpe", lambda d: d["tokenizer"]["model"]["merges"].append(["a", "b", "c"]), "pairs"),
    "merges as text": ("bpe", lambda d: put(d, "tokenizer.model.merges", "a b"), "pairs"),
    "merge of numbers": ("bpe", lambda d: d["tokenizer"]["model"]["merges"].append([1, 2]), "pairs of pieces"),
    "merges for words": ("word", lambda d: put(d, "tokenizer.model.merges", [["a", "b"]]), "no merges"),
    "score missing": ("unigram", lambda d: vocabulary(d)[9].pop(), "pairs"),
    "score a text": ("unigram", lambda d: put(d, "tokenizer.model.vocab", [["a", "b"]]), "scores"),
    "score infinite": ("unigram", lambda d: vocabulary(d).append(["zq", 10**400]), "scores"),
    "score not a number": ("unigram", lambda d: vocabulary(d).append(["zq", float("nan")]), "not a finite"),
    "piece twice": ("unigram", lambda d: vocabulary(d).append(["a", -3.0]), "twice"),
    "no pieces": ("unigram", lambda d: put(d, "tokenizer.model.vocab", []), "piece 0 must"),
    "added tokens": ("bpe", lambda d: put(d, "tokenizer.added_tokens", [{"id": 9}]), "added_tokens"),
    "another splitting": ("bpe", lambda d: put(d, "tokenizer.pre_tokenizer", None), "pre_tokenizer"),
    "a slow pattern": ("word", lambda d: put(d, "tokenizer.pre_tokenizer", {
        "type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}), "pre_tokenizer"),
    "another normaliser": ("unigram", lambda d: put(d, "tokenizer.normalizer", {"type": "NFD"}), "normalizer"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_file_is_refused_with_its_name(tmp_path: Path, saved: dict[TokeniserKind, str], name: str) -> None:
    kind, spoil, message = SPOILED[name]
    data = json.loads(saved[kind])
    spoil(data)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"format": 1, "joint": True, "source": data}), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        TokeniserPair.load(path)
    assert str(path) in str(caught.value) and message in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not JSON"),
        (b"\x89PNG\r\n\x1a\n", "not JSON"),
        (b"[1]", "JSON object"),
        (b'"text"', "JSON object"),
        (b"[" * 200_000, "not JSON"),
        (b'{"a":' * 200_000, "not JSON"),
        (b'{"format":' + b"9" * 10_000 + b"}", "not JSON"),
        (b'{"format":1}', "joint|source|tokeniser is a JSON object"),
        (b'{"format":1,"joint":true,"source":[]}', "tokeniser is a JSON object"),
        (b'{"format":1,"joint":"yes","source":null}', "tokeniser is a JSON object"),
        ('{"format":1}'.encode("utf-16"), "not JSON in UTF-8"),
    ],
)
def test_what_is_no_tokeniser_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        TokeniserPair.load(path)
    assert str(path) in str(caught.value)


def test_the_flag_must_be_there(tmp_path: Path, saved: dict[TokeniserKind, str]) -> None:
    path = tmp_path / "tokenizer.json"
    source = json.loads(saved["byte"])
    for joint, message in ((None, "joint"), (1, "joint"), (False, "tokeniser is a JSON object")):
        path.write_text(json.dumps({"format": 1, "joint": joint, "source": source}))
        with pytest.raises(InputError, match=message):
            TokeniserPair.load(path)


def test_files_that_are_cut_off(tmp_path: Path, saved: dict[TokeniserKind, str]) -> None:
    path = tmp_path / "tokenizer.json"
    whole = json.dumps({"format": 1, "joint": True, "source": json.loads(saved["bpe"])})
    for share in (0.1, 0.5, 0.9, 0.999):
        path.write_text(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match="not JSON"):
            TokeniserPair.load(path)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            TokeniserPair.load(path)


def test_the_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: dict[TokeniserKind, str]) -> None:
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as file:
        file.truncate(stored.MOST_BYTES + 1)
    with pytest.raises(InputError, match="more than 67108864 bytes"):
        TokeniserPair.load(path)
    monkeypatch.setattr("seq2see.text.tokeniser.MOST_BYTES", 1_000)
    tokeniser = Tokeniser.from_json(json.loads(saved["byte"]))
    with pytest.raises(InputError, match=r"lower text\.vocabulary"):
        TokeniserPair(tokeniser, tokeniser).save(path)


mutations = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 500) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def places(data: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, but of long lists and tables only the beginning."""
    found = [prefix]
    if isinstance(data, dict | list):
        keys = list(data) if isinstance(data, dict) else range(len(data))
        for key in list(keys)[:12]:
            found.extend(places(data[key], (*prefix, key)))
    return found


@settings(deadline=None, max_examples=200)
@given(data=st.data(), kind=st.sampled_from(KINDS), value=mutations)
def test_whatever_stands_anywhere_it_is_refused_or_works(
    saved: dict[TokeniserKind, str], data: st.DataObject, kind: TokeniserKind, value: Any
) -> None:
    spoiled = {"whole": json.loads(saved[kind])}
    *parents, last = ("whole", *data.draw(st.sampled_from(places(spoiled["whole"]))))
    inner: Any = spoiled
    for key in parents:
        inner = inner[key]
    inner[last] = copy.deepcopy(value)
    try:
        tokeniser = Tokeniser.from_json(spoiled["whole"])
    except InputError:
        return
    tokeniser.decode(tokeniser.encode("the cat é").ids)
