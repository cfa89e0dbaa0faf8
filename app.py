"""``python app.py``: serve the playground."""

import sys

from app.command import serve

if __name__ == "__main__":
    sys.exit(serve())
