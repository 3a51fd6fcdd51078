"""A column of a page that grows downwards as headings, paragraphs, rows, bars and pictures are put on it."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from cxr_viewer.outputs.text import Colour, Style, draw_text, elide, text_width, wrap

PAPER: Colour = (255, 255, 255)
INK: Colour = (22, 26, 30)
MUTED: Colour = (92, 100, 108)
FAINT: Colour = (150, 156, 162)
LINE: Colour = (208, 212, 216)
TRACK: Colour = (232, 235, 238)
ACCENT: Colour = (30, 96, 150)
CAUTION: Colour = (138, 84, 0)
WARNING: Colour = (168, 28, 24)

TITLE = Style(48, INK, bold=True)
HEADING = Style(26, MUTED, bold=True)
BODY = Style(28, INK)
STRONG = Style(28, INK, bold=True)
SMALL = Style(24, MUTED)

_GAP_PX = 10
_SECTION_PX = 30


class Sheet:
    """White paper of fixed width. ``y`` is where the next thing goes; nothing is ever cut off below."""

    def __init__(self, width: int, margin: int) -> None:
        self._image = Image.new("RGB", (width, 600), PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self.left, self.right = margin, width - margin
        self.y = 0.0

    @property
    def width(self) -> int:
        """Pixels between the margins."""
        return self.right - self.left

    def picture(self) -> Image.Image:
        """What has been put on, as high as that is."""
        height = math.ceil(self.y)
        self._grow(height)
        return self._image.crop((0, 0, self._image.width, height))

    def _grow(self, bottom: float) -> None:
        if bottom <= self._image.height:
            return
        taller = Image.new("RGB", (self._image.width, max(int(bottom) + 1, 2 * self._image.height)), PAPER)
        taller.paste(self._image)
        self._image, self._draw = taller, ImageDraw.Draw(taller)

    def space(self, pixels: float = _GAP_PX) -> None:
        self.y += pixels

    def heading(self, text: str) -> None:
        """A line across and a heading under it."""
        self.y += _SECTION_PX - 2 * _GAP_PX
        self._grow(self.y + 2)
        self._draw.line((self.left, self.y, self.right, self.y), fill=LINE, width=2)
        self.y += _GAP_PX
        self.paragraph(text, HEADING)

    def paragraph(self, text: str, style: Style = BODY, *, indent: int = 0, max_lines: int = 0) -> None:
        """Wrapped text."""
        self._lines(wrap(text, style, self.width - indent, max_lines), style, self.left + indent)
        self.y += _GAP_PX

    def item(self, text: str, style: Style = BODY) -> None:
        """Wrapped text behind a bullet."""
        self._grow(self.y + style.line_px)
        draw_text(self._draw, (self.left, self.y), "\N{BULLET}", style)
        self.paragraph(text, style, indent=style.size_px)

    def row(self, label: str, value: str, style: Style = BODY, *, label_px: int = 250) -> None:
        """A muted label on the left and a wrapped value beside it."""
        quiet = Style(style.size_px, MUTED)
        self._grow(self.y + style.line_px)
        draw_text(self._draw, (self.left, self.y), elide(label, quiet, label_px - 12), quiet)
        self._lines(wrap(value, style, self.width - label_px), style, self.left + label_px)
        self.y += _GAP_PX // 2

    def _lines(self, lines: list[str], style: Style, x: float) -> None:
        self._grow(self.y + len(lines) * style.line_px)
        for line in lines:
            draw_text(self._draw, (x, self.y), line, style)
            self.y += style.line_px

    def boxed(self, text: str, style: Style) -> None:
        """Wrapped text in a frame of its own colour."""
        pad = 18
        lines = wrap(text, style, self.width - 2 * pad)
        bottom = self.y + len(lines) * style.line_px + 2 * pad
        self._grow(bottom)
        self._draw.rectangle((self.left, self.y, self.right, bottom), outline=style.colour, width=4)
        self.y += pad
        self._lines(lines, style, self.left + pad)
        self.y = bottom + _GAP_PX

    def both_ends(self, left: str, right: str, style: Style) -> None:
        """One text at the left margin, wrapped if it has to be, one at the right margin."""
        taken = text_width(right, style)
        self._grow(self.y + style.line_px)
        draw_text(self._draw, (self.right - taken, self.y), right, style)
        self._lines(wrap(left, style, self.width - taken - 24), style, self.left)

    def bar(self, share: float, tick: float, fill: Colour, tick_colour: Colour) -> None:
        """A bar filled to ``share`` (0..1) with a line across it at ``tick`` (0..1)."""
        height, over = 20, 8
        self.y += over
        self._grow(self.y + height + over)
        top, bottom = self.y, self.y + height
        self._draw.rectangle((self.left, top, self.right, bottom), fill=TRACK)
        if share > 0:
            self._draw.rectangle((self.left, top, self.left + min(1.0, share) * self.width, bottom), fill=fill)
        at = self.left + min(1.0, max(0.0, tick)) * self.width
        self._draw.rectangle((at - 2, top - over, at + 2, bottom + over), fill=tick_colour)
        self.y = bottom + over + _GAP_PX // 2

    def swatch(self, colour: Colour, text: str, style: Style = BODY) -> None:
        """A piece of a line in a colour, on black as over a film, and words beside it."""
        wide, high = 72, style.line_px - 8
        self._grow(self.y + style.line_px)
        top = self.y + 2
        self._draw.rectangle((self.left, top, self.left + wide, top + high), fill=(0, 0, 0))
        middle = top + high / 2
        self._draw.line((self.left + 8, middle, self.left + wide - 8, middle), fill=colour, width=6)
        self.paragraph(text, style, indent=wide + 16)

    def paste(self, picture: Image.Image) -> None:
        """A picture at the left margin."""
        self._grow(self.y + picture.height)
        self._image.paste(picture, (self.left, round(self.y)))
        self.y += picture.height + _GAP_PX // 2
