"""Matching in a time that grows with the length of the text times that of the pattern: all ways are followed at once.

A program walks over the characters of a text with a thread for each way to have come there, in the order in which a search
that tries one way after the other would try them; of two that come to the same place the first is kept.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Protocol

from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.host.re2_trees import Characters, Choice, Empty, Group, Node, Repeat, Sequence

_MOST_INSTRUCTIONS = 20_000
_WELL_FORMED = re.compile(
    rb"[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_TAKE, _SPLIT, _JUMP, _SAVE, _PLACE, _MATCH = range(6)


class Found(Protocol):
    """What `re.Match` and `Match` have in common."""

    def start(self) -> int: ...
    def end(self) -> int: ...
    def __getitem__(self, group: int, /) -> bytes | None: ...


class Match:
    """A match; `places` has the bytes at which it and its groups begin and end, None for what is no part of it."""

    def __init__(self, text: bytes, places: tuple[int | None, ...]):
        self._text = text
        self._places = places

    def start(self) -> int:
        return self._places[0] or 0

    def end(self) -> int:
        return self._places[1] or 0

    def __getitem__(self, group: int, /) -> bytes | None:
        start, end = self._places[2 * group : 2 * group + 2]
        return None if start is None or end is None else self._text[start:end]


class Machine:
    """The program of a tree with as many groups.

    Raises `InvalidArgumentError` for one that is too large, as RE2 does.
    """

    def __init__(self, tree: Node, groups: int):
        self._code: list[tuple] = []
        self._groups = groups
        self._emit(_SAVE, 0)
        self._add(tree)
        self._emit(_SAVE, 1)
        self._emit(_MATCH)

    def search(self, text: bytes, start: int = 0) -> Match | None:
        """The first match from byte `start` on, which begins a character."""
        return self._run(text, start, is_whole=False)

    def fullmatch(self, text: bytes) -> Match | None:
        return self._run(text, 0, is_whole=True)

    def _emit(self, *instruction: object) -> int:
        if len(self._code) >= _MOST_INSTRUCTIONS:
            raise InvalidArgumentError("Invalid pattern, error: pattern too large - compile failed")
        self._code.append(instruction)
        return len(self._code) - 1

    def _add(self, tree: Node) -> None:
        if isinstance(tree, Characters):
            if tree.is_byte:
                raise UnsupportedError("\\C, a byte, in a pattern that Python's re may take very long to match")
            self._emit(_TAKE, [low for low, _ in tree.ranges], [high for _, high in tree.ranges])
        elif isinstance(tree, Empty):
            self._emit(_PLACE, tree.place)
        elif isinstance(tree, Sequence):
            for part in tree.parts:
                self._add(part)
        elif isinstance(tree, Group):
            self._emit(_SAVE, 2 * tree.number)
            self._add(tree.body)
            self._emit(_SAVE, 2 * tree.number + 1)
        elif isinstance(tree, Choice):
            self._add_choice(tree)
        else:
            self._add_repeat(tree)

    def _add_choice(self, tree: Choice) -> None:
        jumps = []
        for branch in tree.branches[:-1]:
            split = self._emit(_SPLIT)
            self._add(branch)
            jumps.append(self._emit(_JUMP))
            self._code[split] = (_SPLIT, split + 1, len(self._code))
        self._add(tree.branches[-1])
        for jump in jumps:
            self._code[jump] = (_JUMP, len(self._code))

    def _add_repeat(self, tree: Repeat) -> None:
        for _ in range(tree.least):
            again = len(self._code)
            self._add(tree.body)
        if tree.most is None and tree.least:
            # Once more from the end of the body, not before it: what is empty once may be so for good.
            self._split(self._emit(_SPLIT), again, tree.is_lazy)
            return
        splits = []
        for _ in range(1 if tree.most is None else tree.most - tree.least):
            splits.append(self._emit(_SPLIT))
            self._add(tree.body)
        if tree.most is None:
            self._emit(_JUMP, splits[0])
        for split in splits:
            self._split(split, split + 1, tree.is_lazy)

    def _split(self, split: int, on: int, is_lazy: bool) -> None:
        """Lets the instruction go on there, or to the end of what there is; first to the end if it is lazy."""
        ways = (on, len(self._code))
        self._code[split] = (_SPLIT, *(ways[::-1] if is_lazy else ways))

    def _run(self, text: bytes, start: int, is_whole: bool) -> Match | None:
        found: tuple[int | None, ...] | None = None
        threads: list[tuple[int, tuple]] = []
        nothing = (None,) * (2 * self._groups + 2)
        at = start
        while True:
            if found is None and (at == start or not is_whole):
                threads.append((0, nothing))
            point, length = _character(text, at)
            following: list[tuple[int, tuple]] = []
            for pc, places in self._reached(threads, text, at):
                instruction = self._code[pc]
                if instruction[0] == _MATCH:
                    if is_whole and at < len(text):
                        continue
                    found = places
                    break  # what follows would be tried later
                if length and _takes(instruction, point):
                    following.append((pc + 1, places))
            threads = following
            if at >= len(text) or (not threads and (found is not None or is_whole)):
                return None if found is None else Match(text, found)
            at += length

    def _reached(self, threads: list[tuple[int, tuple]], text: bytes, at: int) -> list[tuple[int, tuple]]:
        """The threads at instructions that take a character or match, in order, each instruction once."""
        reached, seen = [], set()
        stack = threads[::-1]
        while stack:
            pc, places = stack.pop()
            if pc in seen:
                continue
            seen.add(pc)
            kind, *operands = self._code[pc]
            if kind == _JUMP:
                stack.append((operands[0], places))
            elif kind == _SPLIT:
                stack += [(operands[1], places), (operands[0], places)]
            elif kind == _SAVE:
                stack.append((pc + 1, (*places[: operands[0]], at, *places[operands[0] + 1 :])))
            elif kind != _PLACE:
                reached.append((pc, places))
            elif _is_at(operands[0], text, at):
                stack.append((pc + 1, places))
        return reached


def _character(text: bytes, at: int) -> tuple[int | None, int]:
    """The code point at byte `at`, None where no character is, and its number of bytes."""
    if at >= len(text):
        return None, 0
    match = _WELL_FORMED.match(text, at)
    return (None, 1) if match is None else (ord(match[0].decode("utf-8", "surrogatepass")), len(match[0]))


def _takes(instruction: tuple, point: int | None) -> bool:
    _, starts, ends = instruction
    if point is None:
        return False
    place = bisect_right(starts, point) - 1
    return place >= 0 and point <= ends[place]


def _is_at(place: str, text: bytes, at: int) -> bool:
    if place == "A":
        return at == 0
    if place == "z":
        return at == len(text)
    if place == "^":
        return at == 0 or text[at - 1] == 10
    if place == "$":
        return at == len(text) or text[at] == 10
    is_border = (at > 0 and _is_word(text[at - 1])) != (at < len(text) and _is_word(text[at]))
    return is_border == (place == "b")


def _is_word(byte: int) -> bool:
    return byte == 0x5F or (byte < 0x80 and chr(byte).isalnum())
