"""Other toolkits, each in an environment of its own outside this repository, and their configurations.

    python benchmarks/peers.py FOLDER

makes FOLDER/joeynmt, FOLDER/eole and FOLDER/ctranslate2 with the versions that work together today: JoeyNMT 2.3.0
needs importlib_metadata, which it does not name, and breaks with sentencepiece from 0.2.1 on; Eole 0.6.4 needs
aiohttp and matplotlib, which it does not name either.
"""

import subprocess
import sys
import venv
from dataclasses import asdict, dataclass
from pathlib import Path

PINS = {
    "joeynmt": ("torch==2.13.0", "joeynmt==2.3.0", "importlib_metadata", "sentencepiece==0.2.0", "setuptools<81"),
    "eole": ("torch==2.13.0", "eole==0.6.4", "aiohttp", "matplotlib"),
    "ctranslate2": ("ctranslate2==4.8.5",),
}


@dataclass(frozen=True)
class Sizes:
    """A Transformer's, the same number of layers on both sides."""

    layers: int
    width: int
    feed_forward: int
    heads: int
    dropout: float
    vocabulary: int
    batch: int  # target tokens of an update

    def per_token(self, source: float) -> float:
        """Multiplications of weights for one target token and its share of the source: forward, and twice back."""
        encoder = self.layers * (4 * self.width**2 + 2 * self.width * self.feed_forward)
        decoder = self.layers * (6 * self.width**2 + 2 * self.width * self.feed_forward)
        memory = self.layers * 2 * self.width**2
        return 6 * (source * (encoder + memory) + decoder + self.width * self.vocabulary)


SIZES = {
    "transformer-tiny": Sizes(4, 128, 256, 4, 0.3, 10_000, 4_096),
    "transformer-base": Sizes(6, 512, 2_048, 8, 0.1, 32_000, 2_048),
}


def python_of(folder: Path, name: str) -> Path:
    """The interpreter of a peer's environment."""
    return folder / name / "bin" / "python"


def set_up(folder: Path) -> None:
    """Make what is missing."""
    for name, pins in PINS.items():
        if not python_of(folder, name).exists():
            venv.create(folder / name, with_pip=True)
        subprocess.run([python_of(folder, name), "-m", "pip", "install", "--quiet", *pins], check=True)


def joeynmt_config(data: Path, out: Path, architecture: str, *, updates: int, log_every: int) -> str:
    """JoeyNMT's settings, for the pieces in ``data`` as words."""
    sizes = SIZES.get(architecture, SIZES["transformer-tiny"])
    begun = _JOEY.format(data=data, out=out, updates=updates, log_every=log_every, batch=sizes.batch)
    return begun + (_JOEY_LSTM if architecture == "lstm-attention" else _JOEY_TRANSFORMER.format(**asdict(sizes)))


def eole_config(data: Path, out: Path, architecture: str, *, updates: int, log_every: int) -> str:
    """Eole's settings for the same."""
    sizes = SIZES[architecture]
    return _EOLE.format(data=data, out=out, updates=updates, log_every=log_every, **asdict(sizes))


_JOEY = """
name: "peer"
joeynmt_version: "2.3.0"
model_dir: "{out}"
use_cuda: False
random_seed: 1
data:
    train: "{data}/train"
    dev: "{data}/dev"
    dataset_type: "plain"
    src: {{lang: "en", level: "word", voc_file: "{data}/vocabulary.txt", lowercase: False, max_length: 200}}
    trg: {{lang: "de", level: "word", voc_file: "{data}/vocabulary.txt", lowercase: False, max_length: 200}}
testing: {{beam_size: 1, batch_size: 1024, batch_type: "token", max_output_length: 10, eval_metrics: ["bleu"]}}
training:
    optimizer: "adam"
    normalization: "tokens"
    adam_betas: [0.9, 0.98]
    scheduling: "warmupinversesquareroot"
    learning_rate_warmup: 1000
    learning_rate_min: 1.0e-8
    learning_rate: 0.001
    label_smoothing: 0.1
    loss: "crossentropy"
    batch_size: {batch}
    batch_type: "token"
    epochs: 100
    updates: {updates}
    logging_freq: {log_every}
    validation_freq: 1000000
    keep_best_ckpts: 1
    shuffle: True
"""
_JOEY_TRANSFORMER = """
model:
    initializer: "xavier_uniform"
    embed_initializer: "xavier_uniform"
    tied_embeddings: True
    tied_softmax: True
    encoder: &stack
        type: "transformer"
        num_layers: {layers}
        num_heads: {heads}
        embeddings: {{embedding_dim: {width}, scale: True, dropout: 0.}}
        hidden_size: {width}
        ff_size: {feed_forward}
        dropout: {dropout}
        layer_norm: "pre"
    decoder: *stack
"""
_JOEY_LSTM = """
model:
    initializer: "xavier_uniform"
    embed_initializer: "normal"
    embed_init_weight: 0.1
    bias_initializer: "zeros"
    init_rnn_orthogonal: False
    lstm_forget_gate: 1.
    tied_embeddings: False
    tied_softmax: True
    encoder:
        type: "recurrent"
        rnn_type: "lstm"
        embeddings: {embedding_dim: 256, scale: False}
        hidden_size: 128
        bidirectional: True
        dropout: 0.3
        num_layers: 1
    decoder:
        type: "recurrent"
        rnn_type: "lstm"
        embeddings: {embedding_dim: 256, scale: False}
        hidden_size: 256
        dropout: 0.3
        hidden_dropout: 0.3
        num_layers: 1
        input_feeding: False
        init_hidden: "bridge"
        attention: "luong"
"""
_EOLE = """
seed: 1
share_vocab: true
src_vocab: {data}/vocabulary.eole.txt
tgt_vocab: {data}/vocabulary.eole.txt
overwrite: true
report_every: {log_every}
data:
    corpus_1:
        path_src: {data}/train.en
        path_tgt: {data}/train.de
model:
    architecture: transformer
    hidden_size: {width}
    transformer_ff: {feed_forward}
    layers: {layers}
    heads: {heads}
    share_embeddings: true
    share_decoder_embeddings: true
    embeddings: {{word_vec_size: {width}, position_encoding_type: SinusoidalInterleaved}}
training:
    model_path: {out}
    world_size: 0
    gpu_ranks: []
    num_workers: 0
    batch_size: {batch}
    batch_type: tokens
    normalization: tokens
    bucket_size: 32768
    train_steps: {updates}
    valid_steps: 1000000
    save_checkpoint_steps: 1000000
    optim: adam
    adam_beta2: 0.98
    learning_rate: 0.001
    label_smoothing: 0.1
    dropout: [{dropout}]
    compute_dtype: fp32
"""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    set_up(Path(sys.argv[1]))
