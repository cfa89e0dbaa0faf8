"""The prompts that a replay begins with."""

from __future__ import annotations

from app.generation.records import Language

# what belongs there is written by santacoder/mini and by the last commit of santacoder/nano, not by nano's first one
EXAMPLES: dict[Language, str] = {
    "python": """class User:
    def __init__(self, name):
        self.name = name

    def __str__(self):""",
    "java": """public class Box {
    private int size;

    public Box(int size) {
        this.size = size;
    }

    public int getSize() {""",
    "javascript": """class Point {
  constructor(x, y) {
    this._x = x;
    this._y = y;
  }

  get x() {
    return this._x;
  }

  get y() {""",
}
