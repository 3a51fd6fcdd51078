"""Sharp text on a picture: fonts, wrapping, and a fallback for scripts the main font lacks.

The only place that draws text. Fonts are DejaVu Sans, which travel inside matplotlib (found without importing it);
Chinese, Japanese and Korean come from a font of the system where there is one. A character no font has is drawn as
the empty box every reader knows, never left out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

from cxr_viewer.core.errors import ExportError

Colour = tuple[int, int, int]

# File names Pillow looks for in the font folders of the system: Linux, macOS, Windows.
_SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "AppleSDGothicNeo.ttc",
    "Arial Unicode.ttf",
    "msyh.ttc",
    "msgothic.ttc",
    "malgun.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf",
)
_NO_CHARACTER = "\U0010ffff"  # never assigned, so every font answers with its box for the unknown
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True, slots=True)
class Style:
    """How a text looks. ``size_px`` is the height of the font's em; ``outline`` makes it readable on any grey."""

    size_px: int
    colour: Colour
    bold: bool = False
    outline: Colour | None = None

    @property
    def line_px(self) -> int:
        """Distance from one line to the next."""
        return round(self.size_px * 1.32)


def draw_text(draw: ImageDraw.ImageDraw, position: tuple[float, float], text: str, style: Style) -> None:
    """One line of text; ``position`` is the left end of its top (ascender of the main font)."""
    x, y = position
    baseline = y + _main(style).getmetrics()[0]
    for part, font in _runs(text, style):
        stroke = max(2, style.size_px // 10) if style.outline else 0
        draw.text((x, baseline), part, style.colour, font, anchor="ls", stroke_width=stroke, stroke_fill=style.outline)
        x += font.getlength(part)


def text_width(text: str, style: Style) -> float:
    """Width of one line in pixels."""
    return sum(font.getlength(part) for part, font in _runs(text, style))


def wrap(text: str, style: Style, width_px: float, max_lines: int = 0) -> list[str]:
    """Lines no wider than ``width_px``. Line breaks are kept, words that are too long are broken.

    Args:
        max_lines: 0 for as many as needed; else the last line ends in an ellipsis where something was left out.
    """
    lines = [line for paragraph in text.splitlines() or [""] for line in _wrap_line(paragraph, style, width_px)]
    if max_lines and len(lines) > max_lines:
        lines = lines[:max_lines]
        lines[-1] = elide(lines[-1] + ELLIPSIS, style, width_px)
    return lines


def elide(text: str, style: Style, width_px: float) -> str:
    """``text``, or as much of it as fits with an ellipsis behind it."""
    if text_width(text, style) <= width_px:
        return text
    kept = text.rstrip(ELLIPSIS)
    while kept and text_width(kept.rstrip() + ELLIPSIS, style) > width_px:
        kept = kept[:-1]
    return kept.rstrip() + ELLIPSIS


def _wrap_line(paragraph: str, style: Style, width_px: float) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in paragraph.split(" "):  # not split(): a no-break space holds number and unit together
        tried = f"{line} {word}" if line else word
        if text_width(tried, style) <= width_px:
            line = tried
            continue
        if line:
            lines.append(line)
        *broken, line = _break_word(word, style, width_px)
        lines += broken
    return [*lines, line]


def _break_word(word: str, style: Style, width_px: float) -> list[str]:
    pieces, piece = [], ""
    for character in word:
        if piece and text_width(piece + character, style) > width_px:
            pieces.append(piece)
            piece = ""
        piece += character
    return [*pieces, piece]


# ---------------------------------------------------------------- fonts


def _runs(text: str, style: Style) -> Iterator[tuple[str, ImageFont.FreeTypeFont]]:
    """Stretches of the text with the first font that has their characters."""
    run, run_name = "", ""
    for character in text:
        name = _font_name(character, style.bold)
        if name != run_name and run:
            yield run, _font(run_name, style.size_px)
            run = ""
        run, run_name = run + character, name
    if run:
        yield run, _font(run_name, style.size_px)


def _main(style: Style) -> ImageFont.FreeTypeFont:
    return _font(_main_name(style.bold), style.size_px)


@lru_cache(maxsize=4096)
def _font_name(character: str, bold: bool) -> str:
    main = _main_name(bold)
    if character.isspace() or _has(main, character):
        return main
    return next((name for name in _fallback_names() if _has(name, character)), main)


def _has(name: str, character: str) -> bool:
    mask, unknown = (_font(name, 32).getmask(c) for c in (character, _NO_CHARACTER))
    return (mask.size, bytes(mask)) != (unknown.size, bytes(unknown))


@cache
def _fallback_names() -> tuple[str, ...]:
    found = []
    for name in _SYSTEM_FONTS:
        try:
            _font(name, 32)
        except OSError:
            continue
        found.append(name)
    return tuple(found)


@cache
def _main_name(bold: bool) -> str:
    """Path of DejaVu Sans inside matplotlib.

    Raises:
        ExportError: matplotlib's data are not there, that is, the installation is damaged.
    """
    found = importlib.util.find_spec("matplotlib")
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" if found and found.origin else None
    path = folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf") if folder else None
    if path is None or not path.is_file():
        raise ExportError(
            "The font of the report is missing.", hint="Install the program again.", detail=str(path), code="no-font"
        )
    return str(path)


@lru_cache(maxsize=128)
def _font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, size_px)


def lacks_font(text: str) -> bool:
    """Whether a character of ``text`` will be drawn as a box because no font of this computer has it."""
    return any(not c.isspace() and not _has(_font_name(c, False), c) for c in text)
