"""The report of a pipeline run, as JSON and as a self-contained HTML page."""

from __future__ import annotations

import html
import json
import os
import resource
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from santacoder.atomic import replacing

if TYPE_CHECKING:  # the server reads reports, and needs nothing else of the pipeline
    from train.data.pipeline import Step
    from train.data.source_file import Removed

_SAMPLES_SHOWN = 8
_COLOURS = {"python": "#3572a5", "java": "#b07219", "javascript": "#c9a400"}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
td, th { padding: .15rem .8rem .15rem 0; text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } tr { border-bottom: 1px solid #ddd; }
svg text { font: 12px system-ui, sans-serif; } summary { cursor: pointer; } code { font-size: 13px; }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #ddd; } tr { border-color: #333; }
svg text { fill: #ddd; } }
"""


def write_report(output: Path, variant: str, steps: Sequence[Step], missing: Sequence[Removed]) -> dict[str, Any]:
    """Write ``report.json`` and ``report.html`` into ``output``; returns the content of the first."""
    report = {
        "variant": variant,
        "peak_memory_gib": _peak_memory_gib(),
        "missing": [{"package": item.package, "file": item.path, "reason": item.reason} for item in missing],
        "steps": [_step(step) for step in steps],
    }
    with replacing(output / "report.json") as file:
        file.write(json.dumps(report, indent=1).encode())
    with replacing(output / "report.html") as file:
        file.write(_page(report).encode())
    return report


def removed_files(report: dict[str, Any]) -> list[tuple[str, int, list[str]]]:
    """The reasons for leaving files out, the most frequent first: reason, number of files, and some of their names."""
    found: dict[str, tuple[int, list[str]]] = {}
    for step in report["steps"]:
        for reason, (files, _) in step["removed"].items():
            count, names = found.get(reason, (0, []))
            found[reason] = count + files, [*names, *step["samples"].get(reason, [])]
    ordered = sorted(found.items(), key=lambda item: -item[1][0])
    return [(reason, count, names) for reason, (count, names) in ordered]


def remaining_files(report: dict[str, Any]) -> str:
    """A sentence: how many files remain, for training and validation, and why the others do not."""
    kept, removed = report["steps"][-1]["files"], removed_files(report)
    total = kept + sum(count for _, count, _ in removed)
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count, _ in removed)
    return f"{kept:,} of {total:,} files remain. Left out: {reasons}." if removed else f"All {total:,} files remain."


def _step(step: Step) -> dict[str, Any]:
    kept = [(key.split("|", 1), files, size) for key, (files, size) in step.tally.kept.items()]
    return {
        "name": step.name,
        "seconds": round(step.seconds, 1),
        "files": sum(files for _, files, _ in kept),
        "bytes": sum(size for _, _, size in kept),
        "languages": _totals((language, files, size) for (language, _), files, size in kept),
        "licences": _totals((licence, files, size) for (_, licence), files, size in kept),
        "removed": dict(sorted(step.tally.removed.items(), key=lambda item: -item[1][0])),
        "redacted": step.tally.redacted,
        "samples": step.tally.samples,
    }


def _totals(rows: Iterable[tuple[str, int, int]]) -> dict[str, list[int]]:
    totals: dict[str, list[int]] = {}
    for key, files, size in rows:
        before = totals.get(key, [0, 0])
        totals[key] = [before[0] + files, before[1] + size]
    return dict(sorted(totals.items(), key=lambda item: -item[1][1]))


def _peak_memory_gib() -> float:
    """An upper bound on the peak memory: this process, and for each core a child as large as the largest."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB on Linux
    own, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round((own + child * (os.cpu_count() or 1)) * unit / 2**30, 2)


def _page(report: dict[str, Any]) -> str:
    steps, last = report["steps"], report["steps"][-1]
    missing = [[item["package"], item["file"], item["reason"]] for item in report["missing"]]
    sections = [
        f"<h1>Data of the variant {html.escape(report['variant'])}</h1>",
        f"<p>{last['files']:,} files, {last['bytes'] / 1e6:,.1f} MB kept.</p>",
        "<h2>After each step</h2>",
        _plot(steps),
        _table(
            ["step", "files", "MB", "removed", "seconds"],
            [
                [step["name"], step["files"], step["bytes"] / 1e6, _removed_files(step), step["seconds"]]
                for step in steps
            ],
        ),
        "<h2>Languages and licences of what was kept</h2>",
        *[
            _table([kind, "files", "MB"], [[name, files, size / 1e6] for name, (files, size) in last[key].items()])
            for kind, key in (("language", "languages"), ("licence", "licences"))
        ],
        "<h2>Removed files by reason</h2>",
        *[_removals(step) for step in steps if step["removed"]],
        "<h2>Redacted secrets</h2>",
        _table(["kind", "occurrences"], [[kind, n] for step in steps for kind, n in step["redacted"].items()]),
        "<h2>Missing packages</h2>",
        _table(["package", "file", "reason"], missing) if missing else "<p>None.</p>",
    ]
    title = f"Data of the variant {html.escape(report['variant'])}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><body>{''.join(sections)}</body></html>"
    )


def _removed_files(step: dict[str, Any]) -> int:
    return sum(files for files, _ in step["removed"].values())


def _removals(step: dict[str, Any]) -> str:
    rows = []
    for reason, (files, size) in step["removed"].items():
        samples = "".join(f"<br><code>{html.escape(name)}</code>" for name in step["samples"][reason][:_SAMPLES_SHOWN])
        details = f"<details><summary>{html.escape(reason)}</summary>{samples}</details>"
        rows.append(f'<tr><td>{details}</td><td class="n">{files:,}</td><td class="n">{size / 1e6:,.1f}</td></tr>')
    head = '<tr><th>reason</th><th class="n">files</th><th class="n">MB</th></tr>'
    return f"<h3>{html.escape(step['name'])}</h3><table>{head}{''.join(rows)}</table>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str | int | float]]) -> str:
    def cell(value: str | int | float) -> str:
        if isinstance(value, str):
            return f"<td>{html.escape(value)}</td>"
        return f'<td class="n">{value:,}</td>' if isinstance(value, int) else f'<td class="n">{value:,.1f}</td>'

    numeric = [bool(rows) and not isinstance(value, str) for value in (rows[0] if rows else head)]
    titles = "".join(
        f'<th class="{"n" if n else ""}">{html.escape(name)}</th>' for name, n in zip(head, numeric, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>{body}</table>"


def _plot(steps: Sequence[dict[str, Any]]) -> str:
    """A bar chart of the megabytes left after each step, by language."""
    width, row, left = 620, 26, 110
    most = max(step["bytes"] for step in steps) or 1
    parts = []
    for number, step in enumerate(steps):
        x, y = float(left), number * row
        parts.append(f'<text x="0" y="{y + 16}">{html.escape(step["name"])}</text>')
        for language, colour in _COLOURS.items():
            _, size = step["languages"].get(language, (0, 0))
            bar = size / most * width
            shape = f'x="{x:.1f}" y="{y + 3}" width="{bar:.1f}" height="{row - 8}" fill="{colour}"'
            parts.append(f"<rect {shape}><title>{language}: {size / 1e6:,.1f} MB</title></rect>")
            x += bar
        parts.append(f'<text x="{x + 6:.1f}" y="{y + 16}">{step["bytes"] / 1e6:,.0f} MB</text>')
    legend = " ".join(f'<span style="color:{colour}">■</span> {language}' for language, colour in _COLOURS.items())
    size = f'width="{left + width + 80}" height="{len(steps) * row}"'
    label = "Megabytes left after each step, by language"
    return f'<p>{legend}</p><svg role="img" aria-label="{label}" style="max-width:100%" {size}>{"".join(parts)}</svg>'
