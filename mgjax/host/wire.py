"""How protocol buffers write numbers and fields."""

from __future__ import annotations


def varint(number: int) -> bytes:
    """A number from 0 on, in groups of seven bits, lowest first."""
    digits = []
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def field_of_bytes(number: int, content: bytes) -> bytes:
    """A field that is a string, bytes or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content
