"""Where the precincts and code-blocks of a JPEG 2000 tile lie, and in which order its packets come.

Runs in the reader process only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

MOST = 1 << 18
"""Code-blocks, and packets, of a picture: a film of 60 megapixels has 20,000 blocks, in up to 20 layers."""


class OddError(Exception):
    """The codestream has something that is not walked here, or is damaged."""


class OutOfDataError(Exception):
    """The header of a packet is not there whole."""


@dataclass(frozen=True, slots=True)
class Coding:
    order: int
    layers: int
    levels: int
    block: tuple[int, int]
    style: int
    precincts: tuple[tuple[int, int], ...]
    ends_headers: bool


class Bits:
    """Bits of a packet header: the byte behind FF holds seven (ISO 15444-1 B.10.1)."""

    __slots__ = ("_byte", "_data", "_left", "place")

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self.place, self._byte, self._left = data, place, 0, 0

    def one(self) -> int:
        if not self._left:
            if self.place >= len(self._data):
                raise OutOfDataError
            self._left = 7 if self._byte == 0xFF else 8
            self._byte = self._data[self.place]
            self.place += 1
        self._left -= 1
        return self._byte >> self._left & 1

    def many(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self.one()
        return value

    def align(self) -> int:
        """The byte behind the header."""
        return self.place + (self._byte == 0xFF)


class TagTree:
    """ISO 15444-1 B.10.2."""

    __slots__ = ("_known", "_lows", "_widths")

    def __init__(self, width: int, height: int) -> None:
        self._widths, self._lows = [], []
        while True:
            self._widths.append(width)
            self._lows.append([0] * (width * height))
            if width * height <= 1:
                break
            width, height = (width + 1) // 2, (height + 1) // 2
        self._known = [[False] * len(lows) for lows in self._lows]

    def below(self, bits: Bits, x: int, y: int, threshold: int) -> bool:
        """Whether the value of the leaf is less than ``threshold``, of which just so much is read."""
        low = 0
        for level in range(len(self._widths) - 1, -1, -1):
            node = (y >> level) * self._widths[level] + (x >> level)
            low = max(low, self._lows[level][node])
            while low < threshold and not self._known[level][node]:
                if bits.one():
                    self._known[level][node] = True
                else:
                    low += 1
            self._lows[level][node] = low
        return low < threshold


@dataclass(slots=True)
class Block:
    x: int
    y: int
    row: int
    """Its first row, in the picture."""
    included: bool = False
    length_bits: int = 3
    passes: int = 0
    most: int = 0


@dataclass(slots=True)
class Band:
    inclusion: TagTree
    planes: TagTree
    blocks: list[Block]


@dataclass(slots=True)
class Precinct:
    level: int
    halvings: int
    """How often the picture must be halved to do without it: more often than it can be, at the lowest resolution."""
    number: int
    place: tuple[int, int]
    """(y, x) on the reference grid."""
    bands: list[Band] = field(default_factory=list)


def sequence(box: tuple[int, int, int, int], coding: Coding, most: int) -> list[tuple[Precinct, int]]:
    """The packets, as precinct and layer, of a tile of one component in the order of its progression (ISO 15444-1
    B.12).

    Args:
        box: left, top, right, bottom of the tile on the reference grid; right and bottom are outside.

    Raises:
        OddError: there are more than ``most`` packets or code-blocks, or precincts of no size.
    """
    precincts: list[Precinct] = []
    blocks = 0
    for resolution in range(coding.levels + 1):
        for precinct in _precincts(box, resolution, coding):
            precincts.append(precinct)
            blocks += sum(len(band.blocks) for band in precinct.bands)
            if max(blocks, len(precincts) * coding.layers) > most:
                raise OddError
    layers = range(coding.layers)
    if coding.order == 0:
        return [(precinct, layer) for layer in layers for precinct in precincts]
    if coding.order == 1:
        both = [(precinct, layer) for precinct in precincts for layer in layers]
        return sorted(both, key=lambda item: (-item[0].level, item[1], item[0].number))
    if coding.order != 2:
        precincts.sort(key=lambda precinct: (*precinct.place, -precinct.level))
    return [(precinct, layer) for precinct in precincts for layer in layers]


def _precincts(box: tuple[int, int, int, int], resolution: int, coding: Coding) -> Iterator[Precinct]:
    """ISO 15444-1 B.5 to B.7."""
    level = coding.levels - resolution
    x0, y0, x1, y1 = (-(-edge >> level) for edge in box)
    across, down = coding.precincts[resolution]
    if x1 <= x0 or y1 <= y0:
        return
    number = 0
    for y in range(y0 >> down, -(-y1 >> down)):
        for x in range(x0 >> across, -(-x1 >> across)):
            place = (max(y << down + level, box[1]), max(x << across + level, box[0]))
            precinct = Precinct(level, level + 1 if resolution else 32, number, place)
            for right, low in ((0, 0),) if resolution == 0 else ((1, 0), (0, 1), (1, 1)):
                precinct.bands.append(_band(box, (x, y), (right, low), resolution, coding))
            yield precinct
            number += 1


def _band(
    box: tuple[int, int, int, int], place: tuple[int, int], high: tuple[int, int], resolution: int, coding: Coding
) -> Band:
    """The code-blocks of one sub-band that lie in the precinct at ``place``."""
    halved = coding.levels if resolution == 0 else coding.levels - resolution + 1
    spans = []
    for axis in (0, 1):
        shift = (high[axis] << halved) >> 1
        low, up = (-(-(edge - shift) >> halved) for edge in (box[axis], box[axis + 2]))
        size = coding.precincts[resolution][axis] - (resolution > 0)
        if size < 0:
            raise OddError
        low, up = max(low, place[axis] << size), min(up, (place[axis] + 1) << size)
        step = min(coding.block[axis], size)
        spans.append((low >> step, -(-up >> step) if up > low else low >> step, step))
    (left, right, _), (top, bottom, step) = spans
    width, height = right - left, bottom - top
    if width * height > MOST:
        raise OddError
    blocks = [
        Block(x, y, max(box[1], (top + y) << step + halved))
        for y in range(height if width else 0)
        for x in range(width)
    ]
    return Band(TagTree(width, height), TagTree(width, height), blocks)
