"""CTranslate2's side of benchmarks/decoding.py; runs in CTranslate2's own environment.

    python ctranslate2_side.py convert WEIGHTS.npz HEADS MODEL-FOLDER
    python ctranslate2_side.py serve MODEL-FOLDER SOURCES.json

`serve` reads one JSON object a line (compute_type, inter_threads, intra_threads, max_batch_size, and options of
translate_batch), decodes all sources, and answers with the seconds it took and the tokens it found.
"""

import json
import sys
import time
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.specs import TransformerSpec

SOS, EOS, UNK = 1, 2, 3  # seq2see's
_POSITIONS = 512


def convert(path: str, heads: int, out: Path) -> None:
    """seq2see's weights in CTranslate2's format; pieces are named by their numbers."""
    weights = dict(np.load(path))
    layers = [
        1 + max(int(name.split(".")[2]) for name in weights if name.startswith(f"{side}.blocks."))
        for side in ("encoder", "decoder")
    ]
    spec = TransformerSpec.from_config(tuple(layers), heads, pre_norm="encoder.norm.weight" in weights)
    _side(spec.encoder, weights, "encoder")
    _side(spec.decoder, weights, "decoder")
    spec.decoder.projection.weight = weights["decoder.output.weight_VD"]
    spec.decoder.projection.bias = weights["decoder.output.bias_V"]
    spec.config.add_source_eos = True
    spec.config.bos_token = spec.config.decoder_start_token = str(SOS)
    spec.config.eos_token, spec.config.unk_token = str(EOS), str(UNK)
    for register, name in (
        (spec.register_source_vocabulary, "encoder.embedding.weight_VD"),
        (spec.register_target_vocabulary, "decoder.output.weight_VD"),
    ):
        register([str(number) for number in range(len(weights[name]))])
    spec.validate()
    out.mkdir(parents=True, exist_ok=True)
    spec.save(str(out))


def _side(spec, weights, name) -> None:
    embedding = spec.embeddings[0] if isinstance(spec.embeddings, list) else spec.embeddings
    table = weights[f"{name}.embedding.weight_VD"].copy()
    table[0] = 0  # padding
    width = table.shape[1]
    embedding.weight, spec.scale_embeddings = table, True
    turns = np.outer(np.arange(_POSITIONS), 10_000.0 ** (-np.arange(0, width, 2) / width))
    spec.position_encodings.encodings = (
        np.stack([np.sin(turns), np.cos(turns)], -1).reshape(_POSITIONS, width).astype(np.float32)
    )
    if f"{name}.norm.weight" in weights:
        _norm(spec.layer_norm, weights, f"{name}.norm")
    for number, layer in enumerate(spec.layer):
        block = f"{name}.blocks.{number}"
        own = f"{block}.attention.multihead"
        layer.self_attention.linear[0].weight = _stacked(weights, own, "query", "key", "value")
        layer.self_attention.linear[1].weight = weights[f"{own}.output.weight"]
        _norm(layer.self_attention.layer_norm, weights, f"{block}.around_attention.norm")
        if name == "decoder":
            layer.attention.linear[0].weight = weights[f"{block}.cross.query.weight"]
            layer.attention.linear[1].weight = _stacked(weights, f"{block}.cross", "key", "value")
            layer.attention.linear[2].weight = weights[f"{block}.cross.output.weight"]
            _norm(layer.attention.layer_norm, weights, f"{block}.around_cross.norm")
        for linear, part in ((layer.ffn.linear_0, "inner"), (layer.ffn.linear_1, "outer")):
            linear.weight = weights[f"{block}.feed_forward.{part}.weight"]
            linear.bias = weights[f"{block}.feed_forward.{part}.bias"]
        _norm(layer.ffn.layer_norm, weights, f"{block}.around_feed_forward.norm")


def _stacked(weights, prefix, *parts):
    return np.concatenate([weights[f"{prefix}.{part}.weight"] for part in parts])


def _norm(spec, weights, name) -> None:
    spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


def serve(folder: str, sources: str) -> None:
    """Decode everything whenever asked to."""
    pieces = [[str(number) for number in ids] for ids in json.loads(Path(sources).read_text())]
    opened: dict[tuple, ctranslate2.Translator] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        key = tuple(asked.pop(name) for name in ("compute_type", "inter_threads", "intra_threads"))
        one_by_one = asked.pop("one_by_one", 0)
        if key not in opened:
            opened[key] = ctranslate2.Translator(
                folder, device="cpu", compute_type=key[0], inter_threads=key[1], intra_threads=key[2]
            )
        translator = opened[key]
        times = []
        if one_by_one:
            for each in pieces[:one_by_one]:
                start = time.perf_counter()
                translator.translate_batch([each], disable_unk=True, **asked)
                times.append(time.perf_counter() - start)
            answer = {"times": times}
        else:
            start = time.perf_counter()
            found = translator.translate_batch(pieces, disable_unk=True, **asked)
            seconds = time.perf_counter() - start
            answer = {"seconds": seconds, "tokens": [[int(piece) for piece in each.hypotheses[0]] for each in found]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "convert":
        convert(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        serve(sys.argv[2], sys.argv[3])
