"""The file that holds tokenisers: read with bounds, whatever it holds."""

import json
from pathlib import Path

from seq2see.errors import InputError

FORMAT = 1
MOST_BYTES = 64 << 20  # 32,000 pieces take two megabytes


def read_object(path: Path) -> dict[str, object]:
    """The JSON object in a file. Raises InputError, without the name of the file: it holds none."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"it has more than {MOST_BYTES} bytes")
    try:
        data = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is not JSON in UTF-8 ({str(error)[:200]})") from None
    if not isinstance(data, dict):
        raise InputError("it does not hold a JSON object")
    return data


def check_format(data: dict[str, object]) -> None:
    """Raise InputError unless ``data`` says that it has the format of this version."""
    found = data.get("format")
    if type(found) is int and found > FORMAT:
        raise InputError(f"its format is {found}, written by a newer seq2see; this version reads {FORMAT}")
    if type(found) is not int or found != FORMAT:
        raise InputError(f'it does not say "format": {FORMAT}, as files of this version do')
