"""seq2see: sequence-to-sequence models you can see.

    import seq2see
    run = seq2see.train("pairs.tsv", model="lstm-attention", minutes=10)
    run.predict("Where is the station?").text
    run.see("Where is the station?")

The commands do the same: ``seq2see --help``.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seq2see.tasks.catalogue import load
    from seq2see.tasks.run import Run
    from seq2see.tasks.training import train

__all__ = ["Run", "__version__", "load", "train"]
__version__ = "0.1.0"

# oneDNN keeps so many compiled products, 1,024 unless told otherwise: some hundred megabytes for the shapes of batches
# that do not come again. One step has a few dozen. It reads this once, so it has to stand before torch computes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")

_HOMES = {"Run": "seq2see.tasks.run", "load": "seq2see.tasks.catalogue", "train": "seq2see.tasks.training"}


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; `import seq2see` and `seq2see --help` must not wait for it.
    if name not in _HOMES:
        raise AttributeError(f"module 'seq2see' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
