"""A process that stores shares as fast as it can and prints which were acknowledged. Usage: writer.py URL"""

from __future__ import annotations

import sys

from app.shares.database import Database
from app.shares.store import ShareStore
from tests.app.shares.generations import generation

if __name__ == "__main__":
    store = ShareStore(Database(sys.argv[1]))
    while True:
        print(store.add(generation("acknowledged", texts=("x" * 2000,)), "kept").slug, flush=True)
