"""Files that the base filter lets through, each against a search that is not linear."""

from __future__ import annotations

import random
import string

SIZE = 200_000
_MAX_LINE, _MEAN_LINE = 1000, 100


def spaced(long_line: str) -> str:
    """``long_line`` between as many short lines as the mean asks for, over and over."""
    short = "\n".join(["x = 1"] * (len(long_line) // (_MEAN_LINE - 6) + 1))
    piece = f"{long_line}\n{short}\n"
    return piece * (SIZE // len(piece))


def lines(piece: str) -> str:
    """Lines of nothing but ``piece``, as long as they may be on average."""
    line = piece * ((_MEAN_LINE - 2) // len(piece)) + "\n"
    return line * (SIZE // len(line))


def filled(piece: str) -> str:
    return spaced((piece * (_MAX_LINE // len(piece)))[:_MAX_LINE])


def keys(kind: str) -> str:
    """A different key in every line."""
    draw = random.Random(0)
    return "".join(
        kind.format("".join(draw.choices(string.ascii_letters + string.digits, k=40))) + "\n"
        for _ in range(SIZE // (41 + len(kind)))
    )


HOSTILE = {
    "letters": filled("a"),
    "letters between short lines": spaced("a" * 999),
    "keys": keys('k = "{}"'),
    "named keys": keys("key={}"),
    "tokens": keys("ghp_{}"),
    "tokens alike": "".join(f'"{"q7Kx2LmZ9vBtR4wY" * 3}{n}z"\n' for n in range(SIZE // 60)),
    "longer and longer keys": "".join(
        spaced(f'"q7Kx2LmZ9vBtR4wYc1NsD8fG{"b3" * n}"')[: 30 * n + 900] for n in range(5, 60)
    ),
    "a domain of hyphens": filled("x@" + "a-" * 499),
    "a domain of labels": filled("x@" + "a." * 60),
    "many at signs": filled("a@"),
    "percent signs": filled("%" * 63 + "a@b.cc"),
    "assignments": filled("a=/"),
    "named assignments": filled("key="),
    "aws": filled("awskey'"),
    "json web tokens": filled("=eyJ"),
    "colons": filled("ffff:"),
    "digits of an address": filled("a:b:" + "f" * 26 + "x"),
    "octets": filled("1.1.1."),
    "backslashes": filled("\\"),
    "escaped quotes": filled("\\'a"),
    "escaped addresses": filled("\\na@b.cc"),
    "quotes": filled("'a\""),
    "generics": filled("a<"),
    "words without a bracket": lines("word "),
    "white space": lines("ab" + " " * 5),
    "unclosed comment": "/*\n" + lines("a * b "),
    "comments that begin": filled("/*a"),
    "unclosed comments": filled("/* "),
    "stars": filled("*a*"),
    "slashes": filled("/[a"),
    "regular expressions": filled("=/[a/"),
    "templates": filled("`${a"),
    "braces in templates": "`${" * 1000 + lines("{a}"),
    "divisions": filled("a/b /**/"),
    "unclosed text": 'a = """\n' + lines('a" b '),
    "carriage returns": "word word\r" * (SIZE // 10),
    "brackets": filled("(a"),
    "closing": filled("a)"),
    "numbers": filled("1_"),
    "hashes": filled("#a"),
    "urls": filled("://a:"),
    "passwords": filled("pwd"),
    "passwords assigned": filled("pwd='"),
    "licences": filled("GNU "),
    "han": filled("\u6f22@"),
}
