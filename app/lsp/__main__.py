"""``python -m app.lsp``: a language server, over its input and output or over TCP."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from app.lsp.backends import Backend, OpenedLater
from app.project.project_index import ProjectIndex
from santacoder.paths import command_name, user_path

_LOOPBACK = "127.0.0.1"
_RUNNERS = ("auto", "torch", "onnx")
_DEVICES = ("auto", "cpu", "cuda")
_KEY = "SANTACODER_API_KEY"


def main(arguments: list[str] | None = None) -> int:
    """Serve until the editor leaves. Returns the exit status."""
    args = _parser().parse_args(arguments)
    if args.acceptance:
        return _print_acceptance()
    try:
        from app.lsp.transports import serve_stdio, serve_tcp
    except ModuleNotFoundError as error:
        if error.name not in ("pygls", "lsprotocol"):
            raise
        print(
            "The language server needs pygls; install it with: pip install pygls",
            file=sys.stderr,
        )
        return 1
    logging.getLogger("pygls").setLevel(logging.CRITICAL)  # what it reports is in the responses
    if args.project and not args.project.is_dir():
        print(f"{args.project} is not a folder; give --project the folder of your code.", file=sys.stderr)
        return 1
    backend, project = _backend(args), None
    if args.project:
        project = ProjectIndex(args.project)
        project.start()
    if args.tcp:
        status = serve_tcp(backend, project, *args.tcp)
        backend.close()
        return status
    status = serve_stdio(backend, project)
    backend.close()
    # the editor waits for the process, and taking the libraries' objects apart takes seconds
    sys.stderr.flush()
    os._exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=command_name("lsp", "python -m app.lsp"),
        description="A language server that suggests code. It speaks over its input and output, and has the engine "
        "inside; with --url, it asks a running server.",
    )
    parser.add_argument(
        "--tcp", type=_address, metavar="[HOST:]PORT", help=f"listen for editors over TCP, by default at {_LOOPBACK}"
    )
    parser.add_argument("--url", help="address of a running server, such as http://127.0.0.1:7860")
    parser.add_argument("--api-key", default=os.environ.get(_KEY), help=f"key for --url (default: ${_KEY})")
    parser.add_argument("--model", help="model, such as santacoder/mini; with --url, as REPO@REVISION")
    parser.add_argument("--revision", help="branch or commit (default: main)")
    parser.add_argument(
        "--project",
        type=user_path,
        metavar="FOLDER",
        help="folder of your code, which suggestions take into account; without --url, a model tuned to it (santacoder "
        "tune FOLDER) is used as soon as there is one",
    )
    parser.add_argument(
        "--runner",
        choices=_RUNNERS,
        help="what computes the model: PyTorch (torch) or a graph (onnx); auto takes the fastest available "
        "(default: auto)",
    )
    parser.add_argument("--device", choices=_DEVICES, help="device (default: auto)")
    parser.add_argument("--store", help="folder of published models")
    parser.add_argument(
        "--acceptance",
        action="store_true",
        help="only print how many suggestions of the engine inside were accepted, by model, language and editor",
    )
    return parser


def _print_acceptance() -> int:
    from app.errors import ShareError
    from app.lsp.local_signals import acceptance_table

    try:
        print(acceptance_table())
    except ShareError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no address; give PORT or HOST:PORT")
    return host.strip("[]") or _LOOPBACK, int(port)


def _backend(args: argparse.Namespace) -> Backend:
    if args.url:
        from app.lsp.server_elsewhere import ServerElsewhere

        name = f"{args.model}@{args.revision}" if args.model and args.revision else args.model
        return ServerElsewhere(args.url, args.api_key, name)
    names = ("model", "revision", "runner", "device", "store")
    options = {name: value for name in names if (value := getattr(args, name)) is not None}

    def open_engine() -> Backend:
        from app.lsp.engine_inside import engine_inside

        return engine_inside(options, args.project)

    return OpenedLater(open_engine)


if __name__ == "__main__":
    sys.exit(main())
