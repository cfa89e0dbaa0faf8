"""Write a folder of static files in which models run in the visitor's browser, without a server.

python -m export.site --out site santacoder/mini santacoder/nano@fim …
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from export.graph import write_graph
from export.precisions import PRECISIONS
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.engine.onnx.runner import graph_name
from santacoder.paths import user_path

_CHECKOUT = Path(__file__).resolve().parents[1]
_IS_CHECKOUT = (_CHECKOUT / "web" / "page").is_dir()
_WEB = _CHECKOUT / "web" if _IS_CHECKOUT else Path(__file__).resolve().parent / "web"
"""The site's JavaScript: a wheel has it in this package."""
_LICENSE = (_CHECKOUT if _IS_CHECKOUT else _WEB) / "LICENSE"
# the build for WebAssembly alone: that for WebGPU is twice as large, and no faster for models of this size
_RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_ICONS = _CHECKOUT / "app" / "ui" / "icons"
# threads need memory that is shared, which browsers allow only to pages that are isolated from other origins
_SPACE = """---
title: SantaCoder in your browser
emoji: 🎅
colorFrom: red
colorTo: gray
sdk: static
license: apache-2.0
custom_headers:
  cross-origin-embedder-policy: require-corp
  cross-origin-opener-policy: same-origin
  cross-origin-resource-policy: cross-origin
---

A code model that runs in the visitor's browser. Written by `python -m export.site`.
"""


class SiteError(Exception):
    """The site cannot be written; the message is a sentence for the user."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 if the site was written, 2 if it could not be."""
    given = _parser().parse_args(arguments)
    try:
        n_bytes = write_site(given.out, given.revisions, given.store)
    except (SiteError, CheckpointError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{given.out}: {n_bytes / 1e6:.1f} MB. To look at it: python -m http.server --directory {given.out}")
    return 0


def write_site(folder: Path, revisions: Sequence[str], store: Path) -> int:
    """Write a site with ``revisions`` (REPO or REPO@REVISION) to ``folder``, which must be new, empty, or a site of
    this command. Returns its size in bytes.

    Raises:
        SiteError: the folder has other contents, or the runtime is not installed.
        CheckpointError: there is no such revision.
        OSError: something cannot be written.
    """
    folder = folder.resolve()  # "." has no parent
    if folder.exists() and any(folder.iterdir()) and not (folder / "models.json").is_file():
        raise SiteError(f"{folder} has other files in it; choose a new folder, or remove them.")
    runtime = _runtime()
    if runtime is None:
        raise SiteError(f"ONNX Runtime for browsers is not installed; run: {_how_to_install()}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        new = Path(place) / "site"
        shutil.copytree(_WEB / "page", new)
        _add_engine(new, runtime)
        models = [_add_model(new, name, store) for name in dict.fromkeys(revisions)]
        (new / "models.json").write_text(json.dumps(models, indent=1))
        _add_service_worker(new)
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    return sum(path.stat().st_size for path in _files(folder))


def runtime_is_installed() -> bool:
    """Whether ONNX Runtime for browsers is here, in the version that the site is tested with."""
    return _runtime() is not None


def _runtime() -> Path | None:
    """The folder of the package onnxruntime-web: beside the site's JavaScript, or in the current folder."""
    for place in (_WEB, Path.cwd()):
        package = place / "node_modules" / "onnxruntime-web"
        if all((package / "dist" / name).is_file() for name in _RUNTIME_FILES) and _version(package) == _wanted():
            return package
    return None


def _how_to_install() -> str:
    return "npm ci --omit=dev --prefix web" if _IS_CHECKOUT else f"npm install onnxruntime-web@{_wanted()}"


def _version(package: Path) -> str:
    return str(json.loads((package / "package.json").read_text())["version"])


def _wanted() -> str:
    return str(json.loads((_WEB / "package.json").read_text())["dependencies"]["onnxruntime-web"])


def _add_engine(site: Path, package: Path) -> None:
    shutil.copytree(_WEB / "engine", site / "engine")
    vendor = site / "vendor"
    vendor.mkdir()
    for name in _RUNTIME_FILES:
        shutil.copyfile(package / "dist" / name, vendor / name)
    for icon in ("icon.svg", "icon-192.png", "icon-512.png"):
        shutil.copyfile(_ICONS / icon, site / icon)
    own = _LICENSE.read_text()
    runtime = f"ONNX Runtime Web {_version(package)} (vendor/), MIT licence, © Microsoft Corporation\n"
    (site / "LICENSES.txt").write_text(f"{runtime}\nEverything else:\n\n{own}")
    (site / "README.md").write_text(_SPACE, encoding="utf-8")


def _add_model(site: Path, name: str, store: Path) -> dict[str, Any]:
    """Write the files of a revision, and return its entry in ``models.json``."""
    repo_id, _, revision = name.partition("@")
    revision = revision or "main"
    snapshot = checkpoints.resolve(repo_id, revision, store=store)
    folder = site / "models" / repo_id.replace("/", "--") / snapshot.name
    folder.mkdir(parents=True)
    graph = folder / graph_name("web")
    stored = checkpoints.open_stored(snapshot)
    write_graph(graph, stored.config, lambda name: stored.read(name).numpy(), PRECISIONS["web"])
    shutil.copyfile(snapshot / "tokenizer.json", folder / "tokenizer.json")
    # the shape alone: the formats of checkpoints name it in different ways
    (folder / "config.json").write_text(json.dumps(asdict(stored.config)))
    files = [graph, graph.with_name(f"{graph.name}_data"), folder / "tokenizer.json", folder / "config.json"]
    return {
        "name": f"{repo_id}@{revision}",
        "commit": snapshot.name,
        "graph": graph.name,
        "fim_order": checkpoints.read_fim_order(snapshot),
        "bytes": sum(file.stat().st_size for file in files),
        "files": [_entry(site, file) for file in files],
    }


def _entry(site: Path, file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    url = f"./{file.relative_to(site).as_posix()}"
    return {"url": url, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _add_service_worker(site: Path) -> None:
    """Put the list of files, and a digest of them, into the service worker; models are cached by the page."""
    files = [path for path in _files(site) if path.relative_to(site).parts[0] not in ("models", "sw.js", "README.md")]
    names = ["./", *(f"./{path.relative_to(site).as_posix()}" for path in files)]
    digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()
    worker = site / "sw.js"
    text = worker.read_text().replace("santacoder-VERSION", f"santacoder-{digest[:16]}")
    worker.write_text(text.replace("FILES = []", f"FILES = {json.dumps(names)}"))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export.site",
        description="Write a folder of static files in which models run in the visitor's browser.",
    )
    parser.add_argument("revisions", nargs="+", metavar="REPO[@REVISION]", help="models of the store")
    parser.add_argument("--out", type=user_path, required=True, help="the folder to write; an older site is replaced")
    parser.add_argument(
        "--store",
        type=user_path,
        default=checkpoints.DEFAULT_STORE,
        help="folder of published models (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
