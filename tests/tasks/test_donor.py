"""Beginning with another run: what is taken over, what stays fresh, and what is refused."""

import shutil
from pathlib import Path

import pytest
import torch

from labelled_texts import reviews, write_reviews
from seq2see.config.settings import TransformerEncoder
from seq2see.errors import InputError, Stopped
from seq2see.models.classifier import Classifier
from seq2see.models.language_model import NeuralLanguageModel
from seq2see.models.transformer_encoder import TransformerEncoder as TransformerEncoderModule
from seq2see.nn.embedding import token_weights
from seq2see.storage.tensors import load_tensors
from seq2see.tasks.catalogue import load
from seq2see.tasks.donor import open_donor
from seq2see.tasks.reporting import Reporter, silent
from seq2see.tasks.request import TrainRequest
from seq2see.tasks.training import train, train_run
from seq2see.text.tokeniser import SOS
from seq2see.training.interrupt import Interrupt
from seq2see.training.progress import Progress
from small_task import Command, reversed_pairs, write_pairs

QUICK: dict[str, object] = {"training.precision": "float32", "training.batch_tokens": 256, "model.dropout": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled reviews, the same text without labels, and language models of it."""
    made = tmp_path_factory.mktemp("donor")
    texts = reviews(300)
    write_reviews(made / "reviews.tsv", texts)
    (made / "text.txt").write_text("".join(f"{text}\n" for text, _ in texts), encoding="utf-8")
    small = {**QUICK, "text.kind": "char", "window.length": 16}
    for model in ("gpt-tiny", "lstm"):
        settings = {**small, "model.decoder.width": 32} | ({} if model == "lstm" else {"model.decoder.layers": 2})
        train(
            made / "text.txt", task="lm", model=model, settings=settings, steps=4, out=made / model, reporter=silent()
        )
    train(made / "text.txt", task="lm", model="markov", out=made / "markov", reporter=silent())
    return made


def fine(folder: Path, out: Path, donor: str = "gpt-tiny", **asked: object) -> TrainRequest:
    settings = {**QUICK, **asked.pop("settings", {})}  # type: ignore[dict-item]
    own = {"data": folder / "reviews.tsv", "steps": 6, "init_from": folder / donor, "settings": settings}
    return TrainRequest(task="classify", out=out, **{**own, **asked})  # type: ignore[arg-type]


@pytest.mark.parametrize("donor", ["gpt-tiny", "lstm"])
def test_a_classifier_begins_as_the_language_model(folder: Path, tmp_path: Path, donor: str) -> None:
    """Its encoder makes of a text the hidden states that the language model makes of it."""
    first = fine(folder, tmp_path / "run", donor, settings={"training.learning_rate": 1e-12}, steps=1)
    train_run(first, reporter=silent(), interrupt=Interrupt())
    classifier, own = load(tmp_path / "run"), load(folder / donor)
    model, before = classifier.model, own.model  # type: ignore[attr-defined]
    assert isinstance(model, Classifier)
    assert isinstance(before, NeuralLanguageModel)
    assert classifier.tokeniser.to_json() == own.tokeniser.to_json()  # type: ignore[attr-defined]
    ids = torch.tensor([[SOS, *own.tokeniser.encode("the film was great").ids]])  # type: ignore[attr-defined]
    states_BSD = model.encoder(ids, torch.ones_like(ids, dtype=torch.bool)).states_BSD
    torch.testing.assert_close(states_BSD, before(ids), rtol=1e-5, atol=1e-6)


def test_a_causal_encoder_looks_back_only() -> None:
    """A later token changes no earlier state; without ``causal`` it does."""
    for causal in (True, False):
        torch.manual_seed(1)
        settings = TransformerEncoder(layers=2, width=16, heads=2, feed_forward=32, causal=causal)
        encoder = TransformerEncoderModule(settings, token_weights(9, 16), 0.0).eval()
        source_BS = torch.tensor([[4, 5, 6, 7]])
        valid_BS = torch.tensor([[True, True, True, True]])
        changed_BS = torch.tensor([[4, 5, 6, 8]])
        before, after = (encoder(each, valid_BS).states_BSD[:, :3] for each in (source_BS, changed_BS))
        assert torch.allclose(before, after, atol=1e-6) is causal
        shown = encoder(source_BS, valid_BS, want_weights=True).weights["encoder"]
        assert bool((shown.triu(1) == 0).all()) is causal


def test_going_on_needs_no_donor_and_is_exact(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "gpt-tiny", tmp_path / "gpt-tiny")
    train_run(fine(tmp_path, tmp_path / "whole", data=folder / "reviews.tsv"), reporter=silent(), interrupt=Interrupt())
    interrupt = Interrupt()

    def stop(progress: Progress) -> None:
        if progress.step == 3:
            interrupt.signal_number = 15

    with pytest.raises(Stopped, match="step 3"):
        request = fine(tmp_path, tmp_path / "stopped", data=folder / "reviews.tsv")
        train_run(request, reporter=Reporter(lambda text: None, stop), interrupt=interrupt)
    shutil.rmtree(tmp_path / "gpt-tiny")
    train_run(TrainRequest(out=tmp_path / "stopped", resume=True), reporter=silent(), interrupt=Interrupt())
    whole, resumed = (load_tensors(tmp_path / name / "weights.safetensors", None) for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert whole.keys() == resumed.keys()


def test_labels_are_kept_only_where_they_are_the_same(folder: Path, tmp_path: Path) -> None:
    train_run(fine(folder, tmp_path / "first"), reporter=silent(), interrupt=Interrupt())
    donor = open_donor(str(tmp_path / "first"), "classify", ("classify",))
    others = write_reviews(tmp_path / "others.tsv", [(text, f"very {label}") for text, label in reviews(80)])
    still = {"training.learning_rate": 1e-12}
    for data, same in ((folder / "reviews.tsv", True), (others, False)):
        out = tmp_path / data.stem
        again = fine(tmp_path, out, "first", data=data, settings=still, steps=1)
        train_run(again, reporter=silent(), interrupt=Interrupt())
        now = load_tensors(out / "weights.safetensors", None)
        assert torch.allclose(now["output.weight_VD"], donor.weights["output.weight_VD"], atol=1e-6) is same
        assert torch.allclose(now["attention.query_D"], donor.weights["attention.query_D"], atol=1e-6)


def test_a_translator_goes_on_with_other_pairs(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(200))
    small = {**QUICK, "text.kind": "word", "model.encoder.width": 32, "model.decoder.width": 32}
    train(pairs, model="lstm-attention", settings=small, steps=20, out=tmp_path / "first", reporter=silent())
    still = {**QUICK, "training.learning_rate": 1e-12}
    train(pairs, settings=still, steps=1, init_from=tmp_path / "first", out=tmp_path / "next", reporter=silent())
    before, after = (load_tensors(tmp_path / name / "weights.safetensors", None) for name in ("first", "next"))
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_a_language_model_goes_on_with_another_text(folder: Path, tmp_path: Path) -> None:
    out, still = tmp_path / "next", {**QUICK, "training.learning_rate": 1e-12}
    text = folder / "text.txt"
    train(text, task="lm", settings=still, steps=1, init_from=folder / "gpt-tiny", out=out, reporter=silent())
    before, after = (load_tensors(each / "weights.safetensors", None) for each in (folder / "gpt-tiny", out))
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"donor": "markov"}, "a model of counts has no weights"),
        ({"donor": "nothing"}, "no such run folder"),
        ({"model": "lstm"}, "--model lstm: the model is that of"),
        ({"settings": {"text.kind": "word"}}, "text.kind: the pieces are those of"),
        ({"settings": {"model.encoder.feed_forward": 64}}, "leave the sizes of the model to --init-from"),
        ({"settings": {"model.encoder.layers": 3}}, "has no weights for encoder.blocks.2"),
    ],
)
def test_what_does_not_fit_is_refused(folder: Path, tmp_path: Path, asked: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_run(fine(folder, tmp_path / "run", **asked), reporter=silent(), interrupt=Interrupt())  # type: ignore[arg-type]


def test_other_tasks_refuse(seq2see: Command, folder: Path, tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.tsv", reversed_pairs(60))
    answer = seq2see("train", pairs, "--init-from", folder / "gpt-tiny", "--steps", 1, "--out", tmp_path / "run")
    assert answer.code == 2
    assert "a run of the task lm, but translate can begin with runs of the tasks translate" in answer.err
    (tmp_path / "tags.txt").write_text("a\tX\nb\tY\n\n" * 40, encoding="utf-8")
    tagged = ("train", tmp_path / "tags.txt", "--task", "tag", "--steps", 1, "--out", tmp_path / "tags")
    answer = seq2see(*tagged, "--init-from", folder / "gpt-tiny")
    assert answer.code == 2
    assert "tag can begin with no other run" in answer.err


def test_an_unfinished_run_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "gpt-tiny", tmp_path / "gpt-tiny")
    (tmp_path / "gpt-tiny" / "manifest.json").unlink()
    with pytest.raises(InputError, match="its training has not finished"):
        open_donor(str(tmp_path / "gpt-tiny"), "classify", ("lm",))
