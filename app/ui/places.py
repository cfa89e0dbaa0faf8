"""Positions in an editor."""

from __future__ import annotations


def place(code: str, position: int) -> str:
    """The position of a character as ``line:column`` from 0, in the editor's UTF-16 units."""
    before = code[:position]
    column = before[before.rfind("\n") + 1 :].rstrip("\r")
    return f"{before.count(chr(10))}:{len(column.encode('utf-16-le')) // 2}"
