"""Characters of strings in the encodings that TensorFlow 1.15's ICU knows, as far as Python's codecs know them too."""

from __future__ import annotations

import codecs
import functools
from collections.abc import Iterator

from mgjax.errors import InvalidArgumentError

Character = tuple[int | None, int]
"""A code point, None if it is malformed, and the byte at which it begins."""

_SINGLE_BYTES = ("ascii", "koi8-r", "koi8-u", "mac-roman", "cp852", "cp866", *(f"cp125{i}" for i in range(8)))
_SINGLE_BYTES += tuple(f"iso8859-{i}" for i in (*range(1, 12), 13, 15))
_UNITS = {"utf-8": 1, "utf-16-be": 2, "utf-16-le": 2, "utf-32-be": 4, "utf-32-le": 4}
_MARKED = ("utf-16", "utf-32")
_MULTIPLE_BYTES = (
    "big5", "big5hkscs", "cp932", "cp949", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "hz",
    "iso2022_jp", "iso2022_kr", "shift_jis", "tis-620", "utf-7",
)  # fmt: skip
_OTHER_NAMES = {
    "iso-10646-ucs-2": "utf-16",
    "ucs-2": "utf-16",
    "csunicode": "utf-16",
    "unicode": "utf-16",
    "ucs-4": "utf-32",
    "windows-31j": "cp932",
    "utf16le": "utf-16-le",
    "utf16be": "utf-16-be",
    "utf32le": "utf-32-le",
    "utf32be": "utf-32-be",
}
#: IBM's tables turn three control characters round.
_IBM = ("cp852", "cp866", "cp932", "cp949", "iso2022_kr")
_TURNED = {0x1A: 0x1C, 0x1C: 0x7F, 0x7F: 0x1A}


def characters(text: bytes, encoding: str) -> Iterator[Character]:
    """The characters of a string; raises `InvalidArgumentError` for an unknown encoding."""
    codec = _codec(encoding)
    if codec in _MARKED:
        return _marked(text, codec)
    if codec in _UNITS:
        return _in_units(text, codec, 0)
    return _in_bytes(text, codec)


def _codec(encoding: str) -> str:
    """The name that Python has for an encoding."""
    try:
        codec = _OTHER_NAMES.get(encoding.lower()) or codecs.lookup(encoding).name
    except LookupError:
        codec = ""
    if codec not in (*_SINGLE_BYTES, *_UNITS, *_MARKED, *_MULTIPLE_BYTES):
        raise InvalidArgumentError(f"Could not create converter for input encoding: {encoding}")
    # ICU's table of Shift JIS is Microsoft's.
    return "cp932" if codec == "shift_jis" else codec


def _marked(text: bytes, codec: str) -> Iterator[Character]:
    """Of UTF-16 and UTF-32 the first character says the order of bytes, big end first if there is none."""
    unit = 2 if codec == "utf-16" else 4
    order, mark = "be", text[:unit]
    if mark == "\ufeff".encode(f"{codec}-le"):
        order = "le"
    is_marked = order == "le" or mark == "\ufeff".encode(f"{codec}-be")
    if is_marked and len(text) == unit:
        return iter([(0xFFFF, 0)])
    return _in_units(text, f"{codec}-{order}", unit if is_marked else 0)


def _in_units(text: bytes, codec: str, at: int) -> Iterator[Character]:
    """The characters from byte `at` on; a character begins where the one before it ended."""
    before = 0
    while at < len(text):
        point, length = _next(text, at, codec)
        yield point, before
        at += length
        before = at


def _next(text: bytes, at: int, codec: str) -> Character:
    """The code point at byte `at`, None if it is malformed, and the number of bytes that it takes."""
    step = _UNITS[codec]
    for length in range(step, 5, step):
        try:
            return ord(text[at : at + length].decode(codec)), length
        except UnicodeDecodeError as error:
            if at + length > len(text):
                return None, len(text) - at
            # "unexpected end": more bytes may make it whole.
            if "unexpected end" not in error.reason:
                return None, max(step, length - step) if length > step else step
        except TypeError:
            return None, step
    return None, step


def _in_bytes(text: bytes, codec: str) -> Iterator[Character]:
    """The characters of an encoding in which each byte may say what the next ones mean."""
    decoder = codecs.getincrementaldecoder(codec)()
    start = at = 0
    while at < len(text):
        byte = text[at]
        at += 1
        if start == at - 1 and byte in _alone(codec):
            yield (None if byte in (0x8E, 0x8F, 0xFF) else byte), start
            start = at
            continue
        try:
            found = decoder.decode(text[at - 1 : at])
        except UnicodeDecodeError:
            decoder.reset()
            is_control = codec.startswith("cp125") and byte < 0xA0
            yield (byte if is_control else None), start
            # What cannot follow a first byte stands for itself.
            at = start = at if byte >= 0x80 else start + 1
            continue
        for char in found:
            yield _turned(ord(char), codec), start
            start = at
    if start < len(text) and decoder.getstate()[0]:
        yield None, start


@functools.cache
def _alone(codec: str) -> tuple[int, ...]:
    """Bytes that ICU, unlike Python's codec, takes for control characters, or for nothing where no character begins."""
    if codec in ("euc_jp", "euc_kr", "gb2312"):
        # In EUC-JP two of them begin a character.
        return tuple(x for x in (*range(0x80, 0xA0), 0xFF) if codec != "euc_jp" or x not in (0x8E, 0x8F))
    return ()


def _turned(point: int, codec: str) -> int | None:
    if codec in _IBM:
        point = _TURNED.get(point, point)
    return None if codec == "cp932" and (point == 0x80 or 0xF8F0 <= point <= 0xF8F3) else point
