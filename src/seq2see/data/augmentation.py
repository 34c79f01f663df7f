"""Pictures a little moved, turned, mirrored or partly wiped out: what chance does is a function of (seed, epoch, row).

Shapes: B pictures, C colour channels, H height, W width.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor

from seq2see.config.images import PictureData

_SMALLEST, _LARGEST = 0.1, 0.4  # sides of an erased rectangle, as shares of the picture's


@dataclass(frozen=True)
class Chance:
    """What is done to one picture: moved by shares of its sides, turned by an angle, mirrored, wiped out where.

    ``erased`` is top, left, height and width as shares; a rectangle without a height is none.
    """

    right: float
    down: float
    angle: float
    mirrored: bool
    erased: tuple[float, float, float, float]


def drawn(rules: PictureData, seed: int, epoch: int, row: int) -> Chance:
    """What chance does to picture ``row`` in ``epoch``: always the same."""
    name = f"picture {seed} {epoch} {row}".encode()
    chance = Random(int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big"))
    right, down = (chance.uniform(-rules.shift, rules.shift) for _ in range(2))
    angle = chance.uniform(-rules.rotate, rules.rotate)
    mirrored = chance.random() < 0.5 and rules.flip
    wiped = chance.random() < rules.erase
    high, wide = (chance.uniform(_SMALLEST, _LARGEST) for _ in range(2))
    top, left = chance.uniform(0, 1 - high), chance.uniform(0, 1 - wide)
    return Chance(right, down, angle, mirrored, (top, left, high, wide) if wiped else (0.0, 0.0, 0.0, 0.0))


def changes(rules: PictureData) -> bool:
    """Whether the rules leave anything to chance."""
    return bool(rules.shift or rules.rotate or rules.erase or rules.flip)


def augmented(pictures_BCHW: Tensor, rules: PictureData, seed: int, epoch: int, rows: Sequence[int]) -> Tensor:
    """The pictures of ``rows`` as they are in ``epoch``, uint8 as before; what comes in at an edge repeats it."""
    if not changes(rules):
        return pictures_BCHW
    chances = [drawn(rules, seed, epoch, row) for row in rows]
    values_BCHW = pictures_BCHW.float()
    if rules.shift or rules.rotate or rules.flip:
        grid_BHW2 = F.affine_grid(_matrices(chances, pictures_BCHW), list(pictures_BCHW.shape), align_corners=False)
        values_BCHW = F.grid_sample(values_BCHW, grid_BHW2, padding_mode="border", align_corners=False)
    for at, chance in enumerate(chances):
        _erase(values_BCHW[at], chance)
    return values_BCHW.round_().clamp_(0, 255).to(torch.uint8)


def _matrices(chances: Sequence[Chance], pictures_BCHW: Tensor) -> Tensor:
    """``[B, 2, 3]``: from places in the new picture to places in the old one, both from -1 to 1."""
    height, width = pictures_BCHW.shape[2:]
    rows = []
    for chance in chances:
        cos, sin = math.cos(math.radians(chance.angle)), math.sin(math.radians(chance.angle))
        side = -1.0 if chance.mirrored else 1.0
        # Angles are those of the picture, whose sides are both 2 long here whatever they are in pixels.
        rows.append(
            [
                [side * cos, side * sin * height / width, -2 * side * chance.right],
                [-sin * width / height, cos, -2 * chance.down],
            ]
        )
    return torch.tensor(rows)


def _erase(picture_CHW: Tensor, chance: Chance) -> None:
    """Fill the rectangle with the picture's mean, in place."""
    top, left, high, wide = chance.erased
    if not high:
        return
    height, width = picture_CHW.shape[1:]
    rows = slice(round(top * height), round((top + high) * height))
    columns = slice(round(left * width), round((left + wide) * width))
    picture_CHW[:, rows, columns] = picture_CHW.mean(dim=(1, 2), keepdim=True)
