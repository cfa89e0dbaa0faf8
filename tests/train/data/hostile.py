"""Files that the base filter accepts, each designed against a search that is not linear."""

from __future__ import annotations

import random
import string

from train.data.filters import MAX_LINE, MAX_MEAN_LINE, MIN_ALPHANUMERIC

_SHORT = "value1\n"
_LETTERS = string.ascii_letters + string.digits
_HAN = "".join(map(chr, range(0x4E00, 0x5A00)))


def hostile(size: int) -> dict[str, str]:
    """Texts of about ``size`` characters, by kind."""
    draw = random.Random(0)

    def drawn(count: int, alphabet: str = _LETTERS) -> str:
        return "".join(draw.choices(alphabet, k=count))

    def repeated(piece: str) -> str:
        return piece * (size // len(piece))

    def spaced(long_line: str) -> str:
        """``long_line`` among as many short lines as the limits on mean length and letters require, repeated."""
        lacking = MIN_ALPHANUMERIC * len(long_line) - sum(map(str.isalnum, long_line))
        count = max(len(long_line) // (MAX_MEAN_LINE - len(_SHORT)), int(lacking / (len(_SHORT) / 2))) + 1
        return repeated(f"{long_line}\n{_SHORT * count}")

    def lines(piece: str) -> str:
        """Lines that repeat ``piece``, of the maximum mean length."""
        return repeated(piece * ((MAX_MEAN_LINE - 2) // len(piece)) + "\n")

    def filled(piece: str) -> str:
        return spaced((piece * (MAX_LINE // len(piece)))[:MAX_LINE])

    def keys(kind: str) -> str:
        """A different key in every line."""
        return "".join(kind.format(drawn(40)) + "\n" for _ in range(size // (41 + len(kind))))

    return {
        "letters": filled("a"),
        "letters between short lines": spaced("a" * 999),
        "drawn letters": "".join(f"{drawn(999)}\n{_SHORT * 11}" for _ in range(size // 1077)),
        "drawn Han": "".join(f"{drawn(98, _HAN)}\na\n" for _ in range(size // 297)),
        "line breaks": lines("word ")[: size // 2] + "\n" * (size // 2),
        "keys": keys('k = "{}"'),
        "named keys": keys("key={}"),
        "tokens": keys("ghp_{}"),
        "tokens alike": "".join(f'"{"q7Kx2LmZ9vBtR4wY" * 3}{n}z"\n' for n in range(size // 60)),
        "longer and longer keys": "".join(
            spaced(f'"q7Kx2LmZ9vBtR4wYc1NsD8fG{"b3" * n}"')[: (30 * n + 900) * size // 100_000] for n in range(5, 60)
        ),
        "a domain of hyphens": filled("x@" + "a-" * 499),
        "a domain of labels": filled("x@" + "a." * 60),
        "many at signs": filled("a@"),
        "percent signs": filled("%" * 63 + "a@b.cc"),
        "assignments": filled("a=/"),
        "assignments in all lines": lines("a=/"),
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
        "unclosed comments": filled("/*ab"),
        "stars": filled("*a*"),
        "slashes": filled("/[a"),
        "regular expressions": filled("=/[ab/"),
        "templates": filled("`${a"),
        "braces in templates": "`${" * 330 + "\n" + lines("{a}"),
        "divisions": filled("a/b /**/"),
        "unclosed text": 'a = """\n' + lines('a" b '),
        "unclosed text before a backslash": 'a = """\n' + repeated('\\"""\nvalue1\n') + "\\",
        "carriage returns": lines("word\r"),
        "brackets": filled("(a"),
        "closing": filled("a)"),
        "lists in lists": lines("[1,"),
        "lists in lists, closed": ("[12a," * 19 + "\n") * (size // 116) + ("]" * 19 + "\n") * (size // 116),
        "literals": lines("'ab';"),
        "sums": f"x={lines('1+')}1\n",
        "arrows": lines("a=>"),
        "conditions": lines("if(a)"),
        "statements": repeated("x = 1\n"),
        "numbers": filled("1_"),
        "hashes": filled("#a"),
        "urls": filled("://ab:"),
        "passwords": filled("pwd"),
        "passwords assigned": filled("pwd='"),
        "licences": filled("GNU "),
        "han": filled("\u6f22@")[: size // 2],
    }
