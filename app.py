"""``python app.py``: serve the playground."""

import sys

from app.server import main

if __name__ == "__main__":
    sys.exit(main())
