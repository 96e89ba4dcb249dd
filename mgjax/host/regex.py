"""Ops on strings by regular expressions, which are RE2's; the pattern is taken as UTF-8, the text as bytes that may be."""

from __future__ import annotations

import re

import numpy as np

from mgjax.host import re2
from mgjax.host.strings import as_bytes, each
from mgjax.ops import lower

_CHARACTER = re.compile(
    rb"[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|.", re.DOTALL
)


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
    expression = re2.compile(pattern)
    return each(lambda text: expression.fullmatch(as_bytes(text)) is not None, input, dtype=np.bool_)


def _replace(input, pattern, rewrite, everywhere):
    expression = re2.compile(pattern)
    pieces, is_whole = _pieces(rewrite)

    def expand(match):
        # A group that the pattern lacks is empty, as in 1.15; later versions leave the text as it is.
        return b"".join(
            piece if isinstance(piece, bytes) else match[piece] or b"" if piece <= expression.groups else b""
            for piece in pieces
        )

    def replace_first(text):
        match = expression.search(text) if is_whole else None
        return text if match is None else text[: match.start()] + expand(match) + text[match.end() :]

    def replace_all(text):
        result, at, last = [], 0, -1
        while at <= len(text) and (match := expression.search(text, at)):
            result.append(text[at : match.start()])
            if match.start() == match.end() == last:
                # An empty match right after a match does not count; the next character is passed over.
                at = match.end()
                skipped = _CHARACTER.match(text, at)
                result.append(skipped[0] if skipped else b"")
                at = skipped.end() if skipped else at + 1
                continue
            result.append(expand(match))
            at = last = match.end()
        return b"".join([*result, text[at:]])

    return each(lambda text: (replace_all if everywhere else replace_first)(as_bytes(text)), input)


def _pieces(rewrite: bytes) -> tuple[list[bytes | int], bool]:
    """The text of a replacement and the numbers of its groups, up to what is wrong with it; whether nothing is."""
    parts = re.split(rb"\\(.?)", rewrite, flags=re.DOTALL)
    pieces: list[bytes | int] = [parts[0]]
    for escape, text in zip(parts[1::2], parts[2::2], strict=True):
        if escape.isdigit():
            pieces.append(int(escape))
        elif escape == b"\\":
            pieces.append(escape)
        else:
            return pieces, False
        pieces.append(text)
    return pieces, True
