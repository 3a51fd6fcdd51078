"""Everything drawn over a film except marks: corners, letters, scale bar, legend, and words where there is no film."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPainterPath, QPen

from cxr_viewer.core.geometry import Point, edge_letters
from cxr_viewer.core.image import PixelSpacing
from cxr_viewer.core.report import DISCLAIMER
from cxr_viewer.core.wording import spacing_text
from cxr_viewer.services.state import CornerText, Pane
from cxr_viewer.ui import theme
from cxr_viewer.ui.corner_text import BADGE_SIGN, HATCHED, caution_line, corners, legend_lines, notes, scale_bar
from cxr_viewer.ui.film_text import Line, TextBlocks, broken
from cxr_viewer.ui.heat_layer import color_bar
from cxr_viewer.ui.placement import Placement

RESEARCH_ONLY = "Research use only"
_MARGIN = 6.0
_SHARE = 0.46  # of the pane's width for one corner
_SCALE_BAR_PX = 220.0
_COLOR_BAR_PX = 130
_MOST_LINES = 7  # bottom left in a narrow pane, where lines are broken
_WORDS_WIDTH = 420.0


@dataclass(frozen=True, slots=True)
class OverlayScene:
    """What the overlays of one film are drawn from."""

    pane: Pane
    how_much: CornerText
    placement: Placement
    cursor: Point | None
    show_seen: bool = False
    outlined: bool = False


class Overlays:
    """Draws the texts over one film. Remembers where the caution badge is, for its tooltip."""

    def __init__(self, font: QFont) -> None:
        self._text = TextBlocks()
        self.font = QFont(font)
        self.font.setPointSizeF(9.0)
        self.large = QFont(self.font)
        self.large.setPointSizeF(11.0)
        self.large.setBold(True)
        self.small = QFont(self.font)
        self.small.setPointSizeF(8.0)
        self.caution_rect = QRectF()
        self.moving_rect = QRectF()
        """Where the value under the cursor is written: all that has to be painted when the mouse only passes."""

    def draw(self, painter: QPainter, scene: OverlayScene) -> None:
        """Over the film of ``scene``, in widget coordinates."""
        width, height = scene.placement.frame.width, scene.placement.frame.height
        strip = QFontMetricsF(self.small).height() + 2
        self._draw_research(painter, width, height)
        bottom = height - strip
        self._draw_corners(painter, scene, width, bottom)
        self._draw_letters(painter, scene, width, bottom)
        self._draw_scale(painter, scene, width, bottom)

    def _draw_research(self, painter: QPainter, width: float, height: float) -> None:
        fits = QFontMetricsF(self.small).horizontalAdvance(DISCLAIMER) + 3 <= width - 2 * _MARGIN
        lines = (Line(DISCLAIMER if fits else RESEARCH_ONLY, theme.MUTED),)
        taken, tall = self._text.size(lines, self.small, width)
        self._text.draw(painter, (width - taken) / 2, height - tall - 1, lines, self.small, width, right=False)

    def _draw_corners(self, painter: QPainter, scene: OverlayScene, width: float, bottom: float) -> None:
        texts = corners(scene.pane, scene.how_much, scene.placement.zoom, scene.cursor)
        room = width * _SHARE - _MARGIN
        self._text.draw(painter, _MARGIN, _MARGIN, texts.top_left, self.font, room, right=False)
        taken = self._text.draw(painter, width - _MARGIN, _MARGIN, texts.top_right, self.font, room, right=True)
        below = max(_MARGIN, taken.bottom())
        right = width - _MARGIN
        cautions = caution_line(scene.pane.image) if scene.pane.image is not None else ()
        self.caution_rect = self._text.draw(painter, right, below, cautions, self.font, room, right=True)
        below = max(below, self.caution_rect.bottom())
        self._text.draw(painter, right, below, notes(scene.pane), self.font, room, right=True)
        lines = broken(texts.bottom_left, self.font, room)
        height = self._text.size(lines, self.font, room)[1]
        self._text.draw(painter, _MARGIN, bottom - height, lines, self.font, room, right=False)
        tallest = _MOST_LINES * QFontMetricsF(self.font).height() + 4
        self.moving_rect = QRectF(0, bottom - tallest, room + 2 * _MARGIN, tallest)

    def _draw_letters(self, painter: QPainter, scene: OverlayScene, width: float, bottom: float) -> None:
        """Letters of Patient Orientation at the edges; nothing where the file does not say (never guessed)."""
        image = scene.pane.image
        if image is None or image.patient_orientation is None:
            return
        letters = edge_letters(image.patient_orientation, scene.placement.orientation)
        for letter, (x, y) in zip(letters, ((0.0, 0.5), (0.5, 0.0), (1.0, 0.5), (0.5, 1.0)), strict=True):
            if not letter:
                continue
            lines = (Line(letter),)
            w, h = self._text.size(lines, self.large, 60)
            left = _MARGIN + x * (width - 2 * _MARGIN - w)
            top = _MARGIN + y * (bottom - 2 * _MARGIN - h)
            self._text.draw(painter, left, top, lines, self.large, 60, right=False)

    # ------------------------------------------------------------ bottom right

    def _draw_scale(self, painter: QPainter, scene: OverlayScene, width: float, bottom: float) -> None:
        image = scene.pane.image
        if image is None:
            return
        room = width * _SHARE - _MARGIN
        right = width - _MARGIN
        spacing = image.spacing
        source = (Line(self._spacing_words(spacing, room), theme.FILM_TEXT if spacing else theme.CAUTION),)
        top = bottom - self._text.size(source, self.font, room)[1]
        self._text.draw(painter, right, top, source, self.font, room, right=True)
        if spacing is not None:
            mm = scene.placement.millimetres_per_pixel(spacing.row_mm, spacing.column_mm)
            bar = scale_bar(mm, min(_SCALE_BAR_PX, room / 2))
            lines = (Line(bar.text),)
            top -= 10
            _bar(painter, right - bar.length_px, top + 4, bar.length_px)
            tall = self._text.size(lines, self.font, room)[1]
            self._text.draw(painter, right - bar.length_px - 6, top + 4 - tall / 2, lines, self.font, room, right=True)
            top -= 10
        self._draw_legend(painter, scene, right, top - 4, room)

    def _spacing_words(self, spacing: PixelSpacing | None, room: float) -> str:
        """Pixel size and its source; where there is no room for both, the source: it must not be cut off."""
        words = spacing_text(spacing)
        fits = spacing is None or QFontMetricsF(self.font).horizontalAdvance(words) + 3 <= room
        return words if fits or spacing is None else spacing.source.value

    def _draw_legend(self, painter: QPainter, scene: OverlayScene, right: float, bottom: float, room: float) -> None:
        """What the model's drawings over the film are, and how far they may be believed, as long as they are shown."""
        if scene.pane.heatmap is not None:
            bottom = self._draw_color_scale(painter, scene, right, bottom, room)
        lines = broken(legend_lines(scene.pane, scene.show_seen, outlined=scene.outlined), self.font, room)
        tall = self._text.size(lines, self.font, room)[1]
        self._draw_plate(painter, lines, right, bottom - tall)
        self._text.draw(painter, right, bottom - tall, lines, self.font, room, right=True)

    def _draw_plate(self, painter: QPainter, lines: tuple[Line, ...], right: float, top: float) -> None:
        """A dark plate with a frame behind the badge, one without behind what stands on the hatching itself: both are
        read on a white film and in grey print too."""
        metrics = QFontMetricsF(self.font)
        for number, line in enumerate(lines):
            badge = line.text.startswith(BADGE_SIGN)
            if badge or line.text == HATCHED:
                wide = metrics.horizontalAdvance(line.text)
                plate = QRectF(right - wide - 6, top + number * metrics.height(), wide + 9, metrics.height() + 1)
                painter.setPen(QPen(QColor(theme.CAUTION if badge else theme.FILM_BACKGROUND), 1))
                painter.setBrush(QColor(theme.FILM_BACKGROUND))
                painter.drawRect(plate)

    def _draw_color_scale(
        self, painter: QPainter, scene: OverlayScene, right: float, bottom: float, room: float
    ) -> float:
        """The colours of the map from 0 to 1; returns the top of the place taken."""
        scale = (Line("0"),), (Line("1"),)
        tall = self._text.size(scale[0], self.small, 20)[1]
        wide = self._text.size(scale[1], self.small, 20)[0]
        length = min(_COLOR_BAR_PX, int(room) - 30)
        y = bottom - tall
        if length < 20:
            return bottom
        overlay = scene.pane.display.overlay
        pixels = color_bar(length, overlay)
        picture = QImage(pixels.data, length, 1, QImage.Format.Format_RGBA8888)
        bar = QRectF(right - wide - 3 - length, y + tall / 2 - 4, length, 8)
        painter.fillRect(bar.adjusted(-1, -1, 1, 1), QColor(theme.FILM_BACKGROUND))
        painter.drawImage(bar, picture)
        self._text.draw(painter, right, y, scale[1], self.small, 20, right=True)
        self._text.draw(painter, bar.left() - 3, y, scale[0], self.small, 20, right=True)
        return y


def _bar(painter: QPainter, x: float, y: float, length: float) -> None:
    """A line with ticks at both ends, dark outside and light inside."""
    path = QPainterPath(QPointF(x, y - 4))
    path.lineTo(x, y)
    path.lineTo(x + length, y)
    path.lineTo(x + length, y - 4)
    for color, wide in ((theme.FILM_BACKGROUND, 3.5), (theme.FILM_TEXT, 1.5)):
        painter.setPen(QPen(QColor(color), wide, Qt.PenStyle.SolidLine, Qt.PenCapStyle.SquareCap))
        painter.drawPath(path)


def draw_words(painter: QPainter, frame: QRectF, font: QFont, title: str, hint: str = "") -> None:
    """A sentence, and a way out below it, in the middle of a pane without a film."""
    wide = min(_WORDS_WIDTH, frame.width() - 24)
    flags = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignHCenter)
    strong = QFont(font)
    strong.setPointSizeF(11.0)
    blocks = [(title, strong, theme.TEXT if hint else theme.MUTED), (hint, font, theme.MUTED)]
    heights = [
        QFontMetricsF(f).boundingRect(QRectF(0, 0, wide, 10_000), flags, text).height() if text else 0.0
        for text, f, _ in blocks
    ]
    y = frame.center().y() - (sum(heights) + 8) / 2
    for (text, f, color), tall in zip(blocks, heights, strict=True):
        painter.setFont(f)
        painter.setPen(QColor(color))
        painter.drawText(QRectF(frame.center().x() - wide / 2, y, wide, tall + 2), flags, text)
        y += tall + 8
