"""Regular expressions: RE2's, which TensorFlow uses, in terms of Python's.

The pattern and the text are taken as UTF-8. Classes such as \\w and \\d are ASCII's, "$" and "\\z" are the end of the
text and nothing else, and an empty match right after a match does not count.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata

import numpy as np

from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.host.strings import as_bytes, each
from mgjax.ops import lower

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_TOKEN = re.compile(r"\\[pP](?:\{\^?\w+\}|\w)|\\.|\[:\^?(\w+):\]|.", re.DOTALL)


@lower("RegexReplace", host=True)
def regex_replace(input, pattern, rewrite, *, replace_global=True):
    r"""Matches of `pattern` replaced by `rewrite`, in which \1 stands for the first group and \0 for the match."""
    return _replace(input, as_bytes(pattern[()]), as_bytes(rewrite[()]), replace_global)


@lower("StaticRegexReplace", host=True)
def static_regex_replace(input, *, pattern, rewrite, replace_global=True):
    return _replace(input, as_bytes(pattern), as_bytes(rewrite), replace_global)


@lower("RegexFullMatch", host=True)
def regex_full_match(input, pattern):
    return _full_match(input, as_bytes(pattern[()]))


@lower("StaticRegexFullMatch", host=True)
def static_regex_full_match(input, *, pattern):
    return _full_match(input, as_bytes(pattern))


def _full_match(input, pattern):
    expression = _compile(pattern)
    return each(lambda text: expression.fullmatch(_decode(as_bytes(text))) is not None, input, dtype=np.bool_)


def _replace(input, pattern, rewrite, everywhere):
    expression = _compile(pattern)
    pieces = re.split(r"\\(.)", _decode(rewrite), flags=re.DOTALL)
    for piece in pieces[1::2]:
        if piece != "\\" and not (piece.isdigit() and int(piece) <= expression.groups):
            raise InvalidArgumentError(f"Invalid rewrite: \\{piece} is no group of the pattern")

    def expand(match):
        parts = [
            piece if i % 2 == 0 else "\\" if piece == "\\" else match[int(piece)] or ""
            for i, piece in enumerate(pieces)
        ]
        return "".join(parts)

    def replace(text):
        text = _decode(as_bytes(text))
        result, end = [], 0
        last = -1
        for match in expression.finditer(text):
            if match.end() == match.start() == last:
                continue
            result += [text[end : match.start()], expand(match)]
            end = last = match.end()
            if not everywhere:
                break
        return "".join([*result, text[end:]]).encode(errors="surrogateescape")

    return each(replace, input)


def _unicode_class(source: str, token: str, in_class: bool) -> str:
    """The class of the code points of one general category, such as \\p{Ll}, or of all others."""
    name = token[2:].strip("{}")
    category = name.removeprefix("^")
    ranges = _category(category)
    if not ranges:
        raise InvalidArgumentError(f"Invalid pattern: {source}, error: invalid character class range: {token}")
    if (token[1] == "P") == name.startswith("^"):
        return ranges if in_class else f"[{ranges}]"
    if in_class:
        raise UnsupportedError(f"{token} within brackets is not supported (outside of them it is)")
    return f"[^{ranges}]"


@functools.lru_cache(maxsize=64)
def _category(name: str) -> str:
    """The code points whose general category begins so, as ranges in brackets; no text where there are none."""
    points = [point for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)).startswith(name)]
    starts = [point for point, before in zip(points, [-2, *points], strict=False) if point != before + 1]
    ends = [point for point, after in zip(points, [*points[1:], -2], strict=True) if point + 1 != after]
    return "".join(f"\\U{start:08x}-\\U{end:08x}" for start, end in zip(starts, ends, strict=True))


def _decode(text: bytes) -> str:
    return text.decode(errors="surrogateescape")


@functools.lru_cache(maxsize=256)
def _compile(pattern: bytes) -> re.Pattern:
    source = _decode(pattern)
    # Python knows "$" as the end of a line also before a last newline.
    multiline = re.match(r"\(\?[a-z]*m", source) is not None
    parts, in_class = [], False
    for match in _TOKEN.finditer(source):
        token = match[0]
        if token == r"\z" or (token == "$" and not in_class and not multiline):
            token = r"\Z"
        elif token[:2] in (r"\p", r"\P") and len(token) > 2:
            token = _unicode_class(source, token, in_class)
        elif match[1] and in_class:
            if match[1] not in _POSIX or "^" in token:
                raise InvalidArgumentError(f"Invalid pattern: {source}, error: invalid character class {token}")
            token = _POSIX[match[1]]
        elif token == "[" and not in_class:
            in_class = True
        elif token == "[" and in_class:
            token = r"\["
        elif token == "]" and in_class and parts[-1:] not in (["["], ["^"]):
            in_class = False
        parts.append(token)
    try:
        return re.compile("".join(parts), re.ASCII)
    except re.error as error:
        raise InvalidArgumentError(f"Invalid pattern: {source}, error: {error}") from error
