"""What a torn JPEG 2000 codestream still holds, made into one that decodes. Runs in the reader process only.

No decoder at hand takes a codestream that stops. Its packets (ISO 15444-1 annex B) are walked by their headers, which
give the length of every code-block. What is missing of the last packet is filled so that its code-blocks decode to
nothing, and an empty packet, one bit, stands for each that follows. The picture is then the one of the packets that are
there: as a rule the whole film at a lower resolution, and its upper part whole.

Codestreams with one component and without packed headers or changes of progression; others are refused as before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from cxr_viewer.sources.precincts import MOST, Band, Bits, Block, Coding, OddError, OutOfDataError, Precinct, sequence

_START, _TILE, _DATA, _END = b"\xff\x4f", b"\xff\x90", b"\xff\x93", b"\xff\xd9"
_SIZE, _CODING = 0xFF51, 0xFF52
_LENGTHS = {0xFF55, 0xFF57, 0xFF58}
"""TLM, PLM and PLT: where tiles and packets lie, which is no longer true."""
_HARMLESS = {0xFF50, 0xFF59, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF63, 0xFF64}
"""CAP, CPF, QCD, QCC, RGN, CRG, COM."""
_SOP, _EPH = b"\xff\x91", b"\xff\x92"
_LAZY, _TERMINATED, _HIGH_THROUGHPUT = 0x01, 0x04, 0x40
_ALL_PASSES = 109
_EVERY_ROW = 1 << 40
_MARGIN = 8
"""Coefficients over which the wavelets reach, with reserve (5/3: 2, 9/7: 4)."""
_NOTHING_SIGNIFICANT = b"\xf2\x00"
"""The last bytes of a high-throughput clean-up segment that says: no sample here (ISO 15444-15 7.1.3)."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """``codestream`` decodes to the whole picture size.

    Attributes:
        halvings: how often the picture must be halved for all of it to be there, at least in its first layer; 32
            where nothing is.
        whole_rows: rows from the top that lack nothing.
    """

    codestream: bytes
    halvings: int
    whole_rows: int


@dataclass(slots=True)
class _Tile:
    index: int
    box: tuple[int, int, int, int]
    data: bytearray = field(default_factory=bytearray)


def rebuild(data: bytes) -> Rebuilt | None:
    """A codestream that decodes, of one that stops too early; None where there is nothing that can be trusted.

    Args:
        data: from the start of the codestream, or of the JP2 file around it, to where the file breaks off.
    """
    start = data.find(_START + b"\xff\x51", 0, 65536)
    if start < 0:
        return None
    try:
        return _rebuild(data[start:])
    except (OddError, struct.error, IndexError):
        return None


def has_zeros_in_code(data: bytes, least: int) -> bool | None:
    """Whether ``least`` zero bytes in a row lie in the body of a packet; outside they are empty packets. None where the
    packets are not walked here, or code-blocks hold plain bits.

    Args:
        data: a whole codestream, or the JP2 file around it.
    """
    start = data.find(_START + b"\xff\x51", 0, 65536)
    try:
        _, coding, tiles, place = _main_header(data[start:])
        _collect(data[start:], place, tiles)
        if coding.style & _LAZY:
            return None
        for tile in tiles:
            order, inside = sequence(tile.box, coding, MOST // len(tiles)), bytes(tile.data)
            if any(inside.find(bytes(least), packet.body, packet.end) >= 0 for packet in _walk(inside, order, coding)):
                return True
    except (OddError, struct.error, IndexError):
        return None
    return False


def _rebuild(data: bytes) -> Rebuilt:
    header, coding, tiles, place = _main_header(data)
    _collect(data, place, tiles)
    out, halvings, whole = [header], 0, tiles[-1].box[3]
    for tile in tiles:
        order = sequence(tile.box, coding, MOST // len(tiles))
        body, tile_halvings, tile_whole = _filled(bytes(tile.data), order, coding)
        out.append(_TILE + struct.pack(">HHIBB", 10, tile.index, len(body) + 14, 0, 1) + _DATA + body)
        halvings, whole = max(halvings, tile_halvings), min(whole, tile_whole)
    return Rebuilt(b"".join([*out, _END]), halvings, max(0, whole - tiles[0].box[1]))


def _main_header(data: bytes) -> tuple[bytes, Coding, list[_Tile], int]:
    """The main header without what is no longer true, what it says, and where it ends (ISO 15444-1 A.5, A.6)."""
    kept, place = [_START], 2
    coding: Coding | None = None
    tiles: list[_Tile] = []
    while data[place : place + 2] != _TILE:
        marker, length = struct.unpack_from(">HH", data, place)
        end = place + 2 + length
        if end > len(data) or length < 2:
            raise OddError
        if marker == _SIZE:
            tiles = _tiles(data, place)
        elif marker == _CODING:
            coding = _coding(data, place)
        elif marker not in _HARMLESS | _LENGTHS:
            raise OddError
        if marker not in _LENGTHS:
            kept.append(data[place:end])
        place = end
    if coding is None or not tiles:
        raise OddError
    return b"".join(kept), coding, tiles, place


def _tiles(data: bytes, place: int) -> list[_Tile]:
    right, bottom, left, top, width, height, tile_left, tile_top = struct.unpack_from(">8I", data, place + 6)
    components, _, step_x, step_y = struct.unpack_from(">HBBB", data, place + 38)
    if components != 1 or (step_x, step_y) != (1, 1) or not width or not height:
        raise OddError
    across, down = -(-(right - tile_left) // width), -(-(bottom - tile_top) // height)
    if not 0 < across * down <= 4096:
        raise OddError
    boxes = []
    for y in range(down):
        for x in range(across):
            x0, y0 = tile_left + x * width, tile_top + y * height
            boxes.append((max(x0, left), max(y0, top), min(x0 + width, right), min(y0 + height, bottom)))
    return [_Tile(index, box) for index, box in enumerate(boxes)]


def _coding(data: bytes, place: int) -> Coding:
    flags, order, layers, _, levels, width, height, style, _ = struct.unpack_from(">BBHBBBBBB", data, place + 4)
    if levels > 32 or order > 4 or width > 8 or height > 8 or not layers:
        raise OddError
    sizes = data[place + 14 : place + 15 + levels] if flags & 1 else b"\xff" * (levels + 1)
    precincts = tuple((size & 15, size >> 4) for size in sizes)
    if len(precincts) <= levels:
        raise OddError
    return Coding(order, layers, levels, (width + 2, height + 2), style, precincts, bool(flags & 4))


def _collect(data: bytes, place: int, tiles: list[_Tile]) -> None:
    """Put the packets of every tile-part to those of its tile (ISO 15444-1 A.4.2)."""
    while data[place : place + 2] == _TILE and place + 14 <= len(data):
        index, length = struct.unpack_from(">HI", data, place + 4)
        end = min(place + length, len(data)) if length else len(data)
        if length and length < 14:
            raise OddError
        inside = place + 12
        while data[inside : inside + 2] != _DATA:
            if inside + 4 > end:
                return
            marker, size = struct.unpack_from(">HH", data, inside)
            if marker not in (0xFF58, 0xFF64):
                raise OddError
            inside += 2 + size
        tiles[index].data += data[inside + 2 : end]
        place = end


# ---------------------------------------------------------------- packets


@dataclass(slots=True)
class _Packet:
    """One packet: its header ``data[start:body]``, read, and its body up to ``end``, which may lie behind the data."""

    precinct: Precinct
    layer: int
    start: int
    body: int
    lengths: list[tuple[Block, list[int]]]

    @property
    def end(self) -> int:
        return self.body + sum(sum(segments) for _, segments in self.lengths)


def _walk(data: bytes, order: list[tuple[Precinct, int]], coding: Coding) -> Iterator[_Packet]:
    """The packets of a tile one after the other, the last one perhaps short; ends where the data do."""
    place = 0
    for precinct, layer in order:
        try:
            body, lengths = _packet_header(data, place, precinct, layer, coding)
        except OutOfDataError:
            return
        packet = _Packet(precinct, layer, place, body, lengths)
        yield packet
        place = packet.end
        if place > len(data):
            return


def _filled(data: bytes, order: list[tuple[Precinct, int]], coding: Coding) -> tuple[bytes, int, int]:
    """The packets of one tile, what is missing filled; halvings and whole rows as in :class:`Rebuilt`."""
    out, done, whole, halvings = bytearray(), 0, _EVERY_ROW, 0
    for packet in _walk(data, order, coding):
        done += 1
        if packet.end <= len(data):
            out += data[packet.start : packet.end]
            continue
        out += data[packet.start : packet.body] + _fill(data, packet, coding)
        whole = _reach(_first_row(packet, len(data)), packet.precinct.level)
        if packet.layer == 0:
            halvings = packet.precinct.halvings
    for precinct, layer in order[done:]:
        out += b"\x00" + (_EPH if coding.ends_headers else b"")
        rows = [block.row for band in precinct.bands for block in band.blocks]
        if rows:
            whole = min(whole, _reach(min(rows), precinct.level))
            if layer == 0:
                halvings = max(halvings, precinct.halvings)
    return bytes(out), halvings, whole


def _reach(row: int, level: int) -> int:
    """Rows of the picture above what a coefficient at ``row`` of the picture reaches."""
    return max(0, row - (_MARGIN << level))


def _first_row(packet: _Packet, length: int) -> int:
    """The first row of the code-blocks of a torn packet that are not there whole."""
    rows, place = [], packet.body
    for block, segments in packet.lengths:
        place += sum(segments)
        if place > length:
            rows.append(block.row)
    return min(rows)


def _fill(data: bytes, packet: _Packet, coding: Coding) -> bytes:
    """The code-blocks of a torn packet.

    An arithmetic decoder takes FF for the end of its data, and then finds nothing significant in a code-block that it
    has not begun; where it has, it ends there. A high-throughput code-block is read from its end: it is all or nothing.
    """
    out = bytearray(data[packet.body :].ljust(packet.end - packet.body, b"\xff"))
    if coding.style & _HIGH_THROUGHPUT:
        place, there = 0, len(data) - packet.body
        for _, segments in packet.lengths:
            end = place + sum(segments)
            if end > there and segments[0] >= len(_NOTHING_SIGNIFICANT):
                out[place + segments[0] - 2 : place + segments[0]] = _NOTHING_SIGNIFICANT
            place = end
    return bytes(out)


def _packet_header(
    data: bytes, place: int, precinct: Precinct, layer: int, coding: Coding
) -> tuple[int, list[tuple[Block, list[int]]]]:
    """Where the body of the packet begins, and the lengths of the segments of its code-blocks (ISO 15444-1 B.10)."""
    if data[place : place + 2] == _SOP:
        place += 6
    bits, lengths = Bits(data, place), []
    if bits.one():
        for band in precinct.bands:
            for block in band.blocks:
                if _is_included(bits, band, block, layer):
                    lengths.append((block, _segments(bits, block, coding.style)))  # noqa: PERF401
    place = bits.align()
    if data[place : place + 2] == _EPH:
        place += 2
    return place, lengths


def _is_included(bits: Bits, band: Band, block: Block, layer: int) -> bool:
    if block.included:
        return bool(bits.one())
    if not band.inclusion.below(bits, block.x, block.y, layer + 1):
        return False
    planes = 1
    while not band.planes.below(bits, block.x, block.y, planes):
        planes += 1
        if planes > 80:
            raise OddError
    block.included = True
    return True


def _segments(bits: Bits, block: Block, style: int) -> list[int]:
    """Lengths in bytes of what a packet adds to a code-block (ISO 15444-1 B.10.6, B.10.7, D.6)."""
    passes = _passes(bits)
    while bits.one():
        block.length_bits += 1
        if block.length_bits > 40:
            raise OddError
    lengths = []
    while passes:
        if block.passes == block.most:
            block.most, block.passes = _most_passes(block.most, style), 0
        own = min(passes, block.most - block.passes)
        lengths.append(bits.many(block.length_bits + own.bit_length() - 1))
        block.passes += own
        passes -= own
    return lengths


def _most_passes(before: int, style: int) -> int:
    """Coding passes of the next segment, after one of ``before``; 0 at the first."""
    if style & _HIGH_THROUGHPUT:
        return _ALL_PASSES if before == 1 else 1
    if style & _TERMINATED:
        return 1
    if style & _LAZY:
        return 10 if before == 0 else 2 if before in (1, 10) else 1
    return _ALL_PASSES


def _passes(bits: Bits) -> int:
    if not bits.one():
        return 1
    if not bits.one():
        return 2
    few = bits.many(2)
    if few < 3:
        return 3 + few
    some = bits.many(5)
    return 6 + some if some < 31 else 37 + bits.many(7)
