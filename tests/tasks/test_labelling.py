"""Labels for tokens: alone or together, long or short, whole or token by token, and always within the rules."""

import random

import pytest
import torch

from seq2see.config.settings import RecurrentEncoder, TransformerEncoder
from seq2see.config.tag import TagModelSettings, WordVectorSettings
from seq2see.data.label_scheme import keeps_rules
from seq2see.data.tag_labels import Labels
from seq2see.errors import InputError
from seq2see.models.tagger import TaggerSizes, build_tagger
from seq2see.search.label_path import best_path
from seq2see.tasks import labelling
from seq2see.tasks.labelling import Labeller, Rules, label, log_probs, stream
from seq2see.text.spelling import Spelling, SpellingRules

SPELLING = Spelling.learn(
    {"one": 3, "two": 3, "three": 3}, SpellingRules(lowercase=True, letters=8, shortest=2, longest=3, buckets=32), 2
)
BIO = Labels(("O", "B-x", "I-x", "B-y", "I-y"), "bio", True)
FREE = Labels(("a", "b", "c"))
ENCODERS = {
    "lstm": RecurrentEncoder(width=12, layers=2, bidirectional=False),
    "bilstm": RecurrentEncoder(width=12, layers=1, bidirectional=True),
    "transformer": TransformerEncoder(width=12, heads=2, layers=1, feed_forward=16),
}
SENTENCES = [["one", "four", "two"], [], ["three"], ["two"] * 7, ["one", "Five", "two", "!"], ["x"] * 5]


def make(name: str, labels: Labels) -> Labeller:
    """A model that has learned nothing, with strong opinions."""
    torch.manual_seed(61)
    parts = WordVectorSettings(word=8, ngram=4, letters=8, letter=4)
    sizes = TaggerSizes(SPELLING.words, SPELLING.letters, 32, len(labels))
    model = build_tagger(TagModelSettings(name="x", words=parts, encoder=ENCODERS[name]), sizes).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:  # a bias would make one label win everywhere
                parameter.add_(torch.randn_like(parameter))
    return Labeller(model, SPELLING, labels)


@pytest.mark.parametrize("labels", [FREE, BIO], ids=["free", "bio"])
@pytest.mark.parametrize("name", ENCODERS)
def test_company_does_not_matter(name: str, labels: Labels) -> None:
    labeller = make(name, labels)
    together = label(labeller, SENTENCES)
    assert [each.tokens for each in together] == [tuple(each) for each in SENTENCES]
    for sentence, found in zip(SENTENCES, together, strict=True):
        (alone,) = label(labeller, [sentence])
        assert alone.labels == found.labels
        assert alone.probabilities == pytest.approx(found.probabilities, abs=1e-5)
    assert len({each for found in together for each in found.labels}) > 1


@pytest.mark.parametrize("name", ENCODERS)
def test_labels_keep_the_rules(name: str) -> None:
    ruled, free = make(name, BIO), make(name, Labels(BIO.names, "bio", False))
    chance = random.Random(67)
    many = [["".join(chance.choices("onetwhr", k=chance.randint(1, 5))) for _ in range(8)] for _ in range(40)]
    assert keeps_rules([each.labels for each in label(ruled, many)], "bio")
    assert not keeps_rules([each.labels for each in label(free, many)], "bio")  # so that there was something to keep
    assert free.signature == "argmax"
    assert ruled.signature == ("greedy|scheme:bio" if name == "lstm" else "viterbi|scheme:bio")


def test_whole_sentences_get_the_best_path() -> None:
    labeller, rules = make("bilstm", BIO), Rules.of(BIO)
    for at, log_probs_SC in log_probs(labeller, SENTENCES):
        numbers = best_path(log_probs_SC, rules.start_C, rules.follow_CC, rules.end_C)
        found = labeller.tagged(SENTENCES[at], log_probs_SC)
        assert found.labels == tuple(BIO.names[number] for number in numbers)
        chances = [float(log_probs_SC[s, number].exp()) for s, number in enumerate(numbers)]
        assert found.probabilities == pytest.approx(chances)


@pytest.mark.parametrize("labels", [FREE, BIO], ids=["free", "bio"])
def test_a_stream_is_the_whole(labels: Labels) -> None:
    labeller = make("lstm", labels)
    tokens = [token for sentence in SENTENCES for token in [*sentence, " "]]
    found = list(stream(labeller, tokens))
    assert [each is None for each in found] == [token == " " for token in tokens]
    whole = label(labeller, SENTENCES)
    assert [each.label for each in found if each] == [name for each in whole for name in each.labels]
    chances = [chance for each in whole for chance in each.probabilities]
    assert [each.probability for each in found if each] == pytest.approx(chances, abs=1e-5)


def test_a_stream_does_not_read_ahead() -> None:
    taken: list[str] = []

    def tokens():  # type: ignore[no-untyped-def]
        for token in ["one", "two", "", "three"]:
            taken.append(token)
            yield token

    found = stream(make("lstm", FREE), tokens())
    for count in range(1, 5):
        next(found)
        assert len(taken) == count


@pytest.mark.parametrize("name", ["bilstm", "transformer"])
def test_who_reads_whole_sentences_does_not_stream(name: str) -> None:
    with pytest.raises(InputError, match="--model lstm"):
        next(stream(make(name, FREE), ["one"]))


@pytest.mark.parametrize("name", ENCODERS)
def test_an_endless_sentence_is_read_in_parts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a model of one direction goes on, so that its labels are those of the whole."""
    labeller = make(name, BIO)
    sentence = [("one", "two", "four", "!")[t * t % 7 % 4] for t in range(23)]
    whole = dict(log_probs(labeller, [sentence]))[0]
    monkeypatch.setattr(labelling, "MOST_AT_ONCE", 5)
    parts = dict(log_probs(labeller, [sentence, ["one"], sentence[:5]]))
    assert sorted(parts) == [0, 1, 2]
    if name == "lstm":
        torch.testing.assert_close(parts[0], whole)
    else:
        torch.testing.assert_close(parts[0][:5], parts[2])
        assert not torch.allclose(parts[0], whole)


def test_check_ends_the_work() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(make("lstm", FREE), SENTENCES, stop)
