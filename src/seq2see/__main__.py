"""``python -m seq2see`` is ``seq2see``."""

from seq2see.cli.app import main

if __name__ == "__main__":
    main()
