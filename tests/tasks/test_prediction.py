"""Text in, text out: in order, in parts where a text is long, as the settings of the search say."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seq2see.config.settings import SearchSettings
from seq2see.errors import InputError
from seq2see.tasks import prediction
from seq2see.tasks.catalogue import load
from seq2see.tasks.prediction import Translator, decode, has_content, predict, single_line
from seq2see.tasks.run import search_settings, with_assignments
from seq2see.tasks.translation import TranslationRun as Run
from small_task import reversed_pairs

BEAM = SearchSettings(beam=3)


@pytest.fixture(scope="module")
def run(trained: Path) -> Run:
    return load(trained)


def test_a_long_text_is_cut_at_blanks_into_parts_the_model_has_seen(run: Run) -> None:
    """Each part is answered as if it stood alone, and the answers stand in its order."""
    short = replace(run.translator(), max_pieces=5)
    text = "one two three four five six seven eight one two three"
    (whole,) = predict(short, [text], BEAM)
    parts = ["one two three four five", "six seven eight one two", "three"]
    answers = list(predict(short, parts, BEAM))
    assert whole.text == " ".join(answer.text for answer in answers)
    assert whole.log_probs == pytest.approx([each for answer in answers for each in answer.log_probs], abs=1e-5)
    assert whole.score == pytest.approx(sum(answer.score for answer in answers) / 3, abs=1e-5)


def test_a_word_longer_than_the_limit_is_cut_all_the_same() -> None:
    class Characters:
        """A tokeniser with a piece for each character."""

        def encode(self, text: str):  # type: ignore[no-untyped-def]
            from seq2see.text.tokeniser import Encoding

            spans = tuple((at, at + 1) for at in range(len(text)))
            return Encoding(text, tuple(map(ord, text)), tuple(text), spans)

    class Pair:
        source = Characters()

    translator = Translator(None, Pair(), 4)  # type: ignore[arg-type]
    cut = ["".join(map(chr, ids)) for ids in prediction._cut(translator, "ab cd efghijkl m")]
    assert "".join(cut) == "ab cd efghijkl m"
    assert max(map(len, cut)) <= 4
    assert cut == ["ab ", "cd ", "efgh", "ijkl", " m"]


def test_lists_of_a_long_text_are_as_long_as_asked(run: Run) -> None:
    short = replace(run.translator(), max_pieces=3)
    (answer,) = predict(short, ["one two three four five"], SearchSettings(beam=3, nbest=3))
    firsts, seconds = predict(short, ["one two three", "four five"], SearchSettings(beam=3, nbest=3))
    assert len(answer.alternatives) == 2
    assert answer.alternatives[0].text == f"{firsts.alternatives[0].text} {seconds.alternatives[0].text}"


def test_a_prefix_begins_the_answer_and_not_each_part(run: Run) -> None:
    short = replace(run.translator(), max_pieces=3)
    (answer,) = predict(short, ["one two three four five six"], BEAM, prefix="eight eight")
    (first,) = predict(short, ["one two three"], BEAM, prefix="eight eight")
    (second,) = predict(short, ["four five six"], BEAM)
    assert first.text.startswith("eight eight")
    assert answer.text == f"{first.text} {second.text}"


def test_a_prefix_longer_than_an_answer_to_such_a_text_would_be(run: Run) -> None:
    prefix = "one two three four " * 10
    assert run.predict("one", prefix=prefix.strip()).text.startswith(prefix.strip())


def test_a_word_the_model_does_not_know_can_be_no_prefix_but_is_easily_forbidden(run: Run) -> None:
    with pytest.raises(InputError, match="'zebra'"):
        run.predict("one two", prefix="two zebra")
    assert run.predict("one two", forbid=["zebra"]).text == run.predict("one two").text
    assert run.predict("one two", forbid=[" "]).text == run.predict("one two").text


def test_answers_come_in_order_whatever_the_window_and_the_batch(run: Run) -> None:
    texts = ["", *[source for source, _ in reversed_pairs(23, seed=9)], "-", "eight " * 40]
    wanted = [answer.text for answer in run.stream(texts, search=BEAM)]
    for window, tokens in ((1, 8_192), (4, 8_192), (1_024, 1), (7, 60)):
        search = BEAM.model_copy(update={"batch_tokens": tokens})
        assert [answer.text for answer in run.stream(texts, search=search, window=window)] == wanted


def test_samples_do_not_depend_on_the_batch_and_differ_between_lines(run: Run) -> None:
    search = SearchSettings(method="sample", temperature=4.0, seed=3)
    texts = ["one two three four"] * 6
    wanted = [answer.text for answer in run.stream(texts, search=search)]
    assert len(set(wanted)) > 1
    assert [answer.text for answer in run.stream(texts, search=search, window=2)] == wanted


def test_search_goes_where_the_model_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU the step function must get its tokens there; search itself would send them to the CPU."""
    seen = []
    real = prediction.search

    def search(*arguments, **named):  # type: ignore[no-untyped-def]
        seen.append(named["device"])
        return real(*arguments, **named)

    monkeypatch.setattr(prediction, "search", search)
    decode(run.translator(), [[5, 6]], BEAM)
    assert seen == [run.translator().device]


def test_a_coverage_penalty_sees_the_attention(run: Run) -> None:
    plain, covered = (
        run.predict("one two three", search=BEAM.model_copy(update={"coverage_penalty": each})) for each in (0.0, 0.5)
    )
    if plain.text == covered.text:
        assert covered.score < plain.score
    assert covered.score < sum(covered.log_probs) / len(covered.log_probs)


@pytest.mark.parametrize("limits", [{"min_length": 7}, {"max_length": 2}, {"no_repeat_ngram": 1, "min_length": 6}])
def test_limits_hold(run: Run, limits: dict[str, int]) -> None:
    for method in ("greedy", "beam", "sample"):
        search = SearchSettings(method=method, **limits)  # type: ignore[arg-type]
        answer = run.predict("one two three", search=search)
        pieces = len(answer.ids) - (answer.finished == "eos")
        assert pieces >= limits.get("min_length", 0)
        assert len(answer.ids) <= limits.get("max_length", 100)
        if "no_repeat_ngram" in limits:
            assert len(set(answer.ids)) == len(answer.ids)


def test_what_is_given_lies_over_the_search_of_the_run() -> None:
    greedy, sampling = SearchSettings(method="greedy", beam=4), SearchSettings(method="sample", nbest=2)
    assert search_settings(greedy).method == "greedy"
    assert search_settings(greedy, beam=2) == SearchSettings(method="beam", beam=2)
    assert search_settings(greedy, nbest=7) == SearchSettings(method="beam", beam=7, nbest=7)
    assert search_settings(greedy, sample=True, top_k=3) == SearchSettings(method="sample", beam=4, top_k=3)
    # A run that samples by itself goes on sampling, and need not be told so again.
    assert search_settings(sampling, temperature=0.5).method == "sample"
    assert search_settings(sampling, nbest=3).method == "sample"
    assert search_settings(sampling, beam=3) == SearchSettings(method="beam", beam=3, nbest=2)
    with pytest.raises(InputError, match="top_p"):
        search_settings(greedy, top_p=0.5)
    with pytest.raises(InputError, match="exclude"):
        search_settings(greedy, sample=True, beam=2)


def test_single_search_settings_by_name() -> None:
    base = SearchSettings(beam=2)
    found = with_assignments(base, ["search.length_penalty=0.5", "search.nbest=2"])
    assert found == SearchSettings(beam=2, length_penalty=0.5, nbest=2)
    assert with_assignments(base, []) == base
    with pytest.raises(InputError, match=r"search\.beem.*beam"):
        with_assignments(base, ["search.beem=2"])
    for other in ("model.dropout=0.1", "beam=2", "search=2"):
        with pytest.raises(InputError, match="only its search"):
            with_assignments(base, [other])


def test_what_is_worth_asking() -> None:
    assert [has_content(text) for text in ("", " \t", "-", "…!", "\N{THUMBS UP SIGN}", "a", "7", "\uac00")] == [
        False
    ] * 5 + [True] * 3
    assert single_line("a\r\nb\nc") == "a  b c"


def test_the_answer_is_the_same_with_gradients_around(run: Run) -> None:
    with torch.enable_grad():
        assert run.predict("one two").text == run.predict("one two").text
    assert all(parameter.grad is None for parameter in run.translator().model.parameters())
