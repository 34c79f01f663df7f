"""What a caption is worth that is copied: of the training picture that looks most alike. A baseline beside the model.

It lives in the run folder as small pictures and their captions, so that any run can be compared with it later.

B pictures · K known pictures · C colour channels · H height · W width · P numbers of a small picture
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from seq2see.errors import InputError
from seq2see.storage.atomic import write_atomic
from seq2see.storage.tensors import load_tensors, save_tensors
from seq2see.tasks.gallery import Gallery
from seq2see.text.stored import FORMAT, check_format, read_object

PICTURES, CAPTIONS = "neighbours.safetensors", "neighbours.json"
SIDE = 16  # pixels at most along a side of what is compared
MOST = 20_000  # pictures that are kept


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Training pictures, made small, each with its first caption."""

    small_KP: Tensor  # uint8
    captions: tuple[str, ...]

    @staticmethod
    def of(gallery: Gallery) -> "Neighbours":
        """Those of a gallery; of very many, some."""
        some = gallery.some(MOST)
        parts = [small(pictures_BCHW) for _, pictures_BCHW in some.batches()]
        return Neighbours(torch.cat(parts), tuple(texts[0] for texts in some.texts))

    def save(self, folder: Path) -> None:
        """Write both files, each whole or not at all."""
        save_tensors(folder / PICTURES, {"small_KP": self.small_KP}, {})
        content = {"format": FORMAT, "captions": self.captions}
        write_atomic(folder / CAPTIONS, json.dumps(content, ensure_ascii=False, indent=0) + "\n")

    @staticmethod
    def load(folder: Path) -> "Neighbours":
        """Read what :meth:`save` wrote.

        Raises:
            InputError: a file is missing, damaged, or does not fit the other.
        """
        small_KP = load_tensors(folder / PICTURES, None).get("small_KP")
        try:
            data = read_object(folder / CAPTIONS)
            check_format(data)
        except InputError as error:
            raise InputError(f"{folder / CAPTIONS} cannot be used: {error}") from None
        captions = data.get("captions")
        if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
            raise InputError(f'{folder / CAPTIONS}: "captions" is not a list of texts')
        if small_KP is None or small_KP.dtype != torch.uint8 or small_KP.dim() != 2 or len(small_KP) != len(captions):
            raise InputError(f"{folder / PICTURES} has not one small picture for each of {len(captions):,} captions")
        return Neighbours(small_KP, tuple(captions))

    def answers(self, pictures_BCHW: Tensor) -> list[str]:
        """The caption of the nearest known picture (Euclidean distance between pixels), the first of equals."""
        small_BP, small_KP = small(pictures_BCHW).double(), self.small_KP.double()
        square_K = small_KP.square().sum(1)
        nearest_B = (square_K - 2 * small_BP @ small_KP.T).argmin(1)
        return [self.captions[row] for row in nearest_B.tolist()]


def small(pictures_BCHW: Tensor) -> Tensor:
    """``[B, P]``, uint8: at most `SIDE` pixels along a side, each the mean of those it stands for."""
    height, width = (min(SIDE, side) for side in pictures_BCHW.shape[2:])
    means_BCHW = F.adaptive_avg_pool2d(pictures_BCHW.float(), (height, width))
    return means_BCHW.round().to(torch.uint8).flatten(1)
