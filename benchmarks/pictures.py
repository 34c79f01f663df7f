"""What a run makes of the first pictures of a list, unselected: a page, and a drawing of each.

    python benchmarks/pictures.py RUN PICTURES LIST NUMBER OUT

RUN was trained by `seq2see train --task caption` or `--task classify`, PICTURES is a folder, tar, zip or IDX file, and
LIST the file with their captions or labels. Writes OUT/pictures.html and OUT/01.png, 02.png …
"""

import sys
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

from seq2see import load
from seq2see.data.images import open_pictures
from seq2see.data.pictures import png
from seq2see.tasks.captions import CaptionRun
from seq2see.tasks.gallery import exhibited
from seq2see.tasks.image_classification import ImageClassificationRun
from seq2see.tasks.picture_views import PictureView
from seq2see.viewing.picture_page import write_picture_page


def main() -> None:
    if len(sys.argv) != 6:
        raise SystemExit(__doc__)
    run, out, number = load(sys.argv[1]), Path(sys.argv[5]), int(sys.argv[4])
    if not isinstance(run, CaptionRun | ImageClassificationRun):
        raise SystemExit(f"{sys.argv[1]} is no run about pictures")
    pictures = open_pictures(source=sys.argv[2], target=sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    records = []
    with (
        exhibited(pictures, run.settings.model.picture, run.settings.data) as (gallery, _),
        tempfile.TemporaryDirectory() as folder,
    ):
        rows = zip(gallery.names, gallery.texts, gallery.rows_N.split(1), strict=True)
        for at, (name, texts, rows_1) in enumerate(islice(rows, number), start=1):
            path = Path(folder, Path(name).name).with_suffix(".png")
            path.write_bytes(png(gallery.pictures.pictures(rows_1)[0]))
            record = replace(run.see(path).record, reference=" / ".join(texts))
            PictureView(record).png(out / f"{at:02}.png")
            records.append(record)
            print(f"{name}: {record.target.text}  (reference: {record.reference})")
    write_picture_page(out / "pictures.html", records)


if __name__ == "__main__":
    main()
