"""Pictures whose content is known because it was put there: a coloured square on white, left or right, up or down."""

import gzip
import io
import random
import tarfile
import zipfile
from pathlib import Path

from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 160, 40), "blue": (30, 40, 220)}
SIDE = 12


def square(colour: str, left: bool, top: bool, chance: random.Random | None = None) -> Image.Image:
    """A square of 5 × 5 in a corner of 12 × 12 white pixels, moved by up to a pixel."""
    image = Image.new("RGB", (SIDE, SIDE), (255, 255, 255))
    right, down = (0 if chance is None else chance.randint(0, 1) for _ in range(2))
    x, y = (0 if left else 6) + right, (0 if top else 6) + down
    image.paste(COLOURS[colour], (x, y, x + 5, y + 5))
    return image


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def captioned(count: int, seed: int = 1) -> list[tuple[str, str, bytes]]:
    """File name, caption and content of so many pictures, no two alike."""
    chance = random.Random(seed)
    found: dict[bytes, tuple[str, str, bytes]] = {}
    while len(found) < count:
        colour, left, top = chance.choice(sorted(COLOURS)), chance.random() < 0.5, chance.random() < 0.5
        image = square(colour, left, top, chance)
        for _ in range(3):  # specks, so that pictures differ
            image.putpixel((chance.randrange(SIDE), chance.randrange(SIDE)), (250, 250, chance.randrange(200, 256)))
        content = png(image)
        caption = f"{colour} square {'left' if left else 'right'}"
        found.setdefault(content, (f"{len(found)}.png", caption, content))
    return list(found.values())


def write_zip(path: Path, pictures: list[tuple[str, str, bytes]]) -> Path:
    """An archive with the pictures and their captions."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, _, content in pictures:
            archive.writestr(name, content)
        archive.writestr("captions.tsv", "".join(f"{name}\t{caption}\n" for name, caption, _ in pictures))
    return path


def write_folders(path: Path, pictures: list[tuple[str, str, bytes]]) -> Path:
    """The colour of the square as the folder a picture lies in."""
    for name, caption, content in pictures:
        folder = path / caption.split()[0]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return path


def idx(*dimensions: int, data: bytes) -> bytes:
    """An IDX file of bytes."""
    return bytes([0, 0, 8, len(dimensions)]) + b"".join(each.to_bytes(4, "big") for each in dimensions) + data


def write_idx(folder: Path, name: str, pictures: list[tuple[str, str, bytes]]) -> Path:
    """The pictures in grey as an IDX file, and beside it their labels: 0 for left, 1 for right."""
    grey = b"".join(Image.open(io.BytesIO(content)).convert("L").tobytes() for _, _, content in pictures)
    labels = bytes(int(caption.endswith("right")) for _, caption, _ in pictures)
    path = folder / f"{name}-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(len(pictures), SIDE, SIDE, data=grey)))
    (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(len(pictures), data=labels)))
    return path


def write_pictures(folder: Path) -> None:
    """All that the page about pictures speaks of."""
    pictures = captioned(24)
    write_folders(
        folder / "digits", [(f"{name}", "3" if row % 2 else "0", png_) for row, (name, _, png_) in enumerate(pictures)]
    )
    (folder / "digits" / "3" / "0.png").write_bytes(pictures[1][2])
    write_zip(folder / "icons.zip", pictures)
    for name in ("train", "test"):
        write_idx(folder, name, pictures)
    with tarfile.open(folder / "pictures.tar.gz", "w:gz") as tar:
        for name, _, content in pictures:
            entry = tarfile.TarInfo(f"pictures/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    rows = "".join(f"{name}\t{caption}\n" for name, caption, _ in pictures)
    (folder / "captions.tsv").write_text(rows, encoding="utf-8")


# A network so small that it learns these in a second.
NETWORK = {
    "model.encoder.channels": [8, 16],
    "model.encoder.strides": [1, 2],
    "model.encoder.width": 16,
    "model.dropout": 0.0,
    "training.learning_rate": 0.01,
    "training.precision": "float32",
}
