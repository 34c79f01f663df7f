"""Language models with weights drawn at random, ready to read and write: what they say is not sensible, but certain."""

import torch

from seq2see.config.lm import (
    LanguageModelSettings,
    LikelihoodSettings,
    LmSettings,
    MarkovModel,
    RecurrentModel,
    WindowSettings,
)
from seq2see.config.settings import TextSettings, TokeniserKind, TrainingSettings, TransformerDecoder
from seq2see.data.stream_cache import CachedStream
from seq2see.models.language_presets import build_language_model
from seq2see.models.markov import MarkovChain
from seq2see.models.ngrams import count_grams
from seq2see.tasks.lm_scoring import Reader
from seq2see.text.tokeniser import Tokeniser

TEXT = "the cat sat on the mat,\nand the mat lay under the cat;\n\nno hat was there.\n" * 3
DECODERS = {
    "lstm": RecurrentModel(cell="lstm", width=12),
    "gru": RecurrentModel(cell="gru", layers=2, width=12),
    "gpt": TransformerDecoder(layers=2, width=12, heads=3, feed_forward=16, position="rotary"),
    "markov": MarkovModel(order=3),
}


def reader(name: str, *, kind: TokeniserKind = "char", context: int = 5, length: int = 8) -> Reader:
    decoder = DECODERS[name]
    settings = LmSettings(
        text=TextSettings(kind=kind, vocabulary=300),
        model=LanguageModelSettings(name=name, decoder=decoder, tie="none"),
        window=WindowSettings(length=length),
        evaluation=LikelihoodSettings(context=context),
        training=TrainingSettings(steps=1),
    )
    tokeniser = Tokeniser.train([TEXT], settings.text)
    torch.manual_seed(3)
    model = build_language_model(settings.model, tokeniser.size, length)
    if isinstance(model, MarkovChain):
        stream = CachedStream.from_ids(tokeniser.encode(TEXT).ids)
        model.fill(count_grams(lambda: stream.blocks(model.order), model.order, tokeniser.size, lambda: None))
    else:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return Reader(model.eval(), tokeniser, settings)
