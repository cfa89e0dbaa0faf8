"""``python app.py``: serve the playground."""

import sys

from app.proxies import proxy_problem

if __name__ == "__main__":
    if problem := proxy_problem():
        sys.exit(problem)
    from app.server import main

    sys.exit(main())
