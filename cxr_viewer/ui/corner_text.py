"""What is written in the corners of a film, as lines of text; drawing them is for ``overlays``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cxr_viewer.core.filmcheck import FilmCheck
from cxr_viewer.core.geometry import Point
from cxr_viewer.core.image import Radiograph, Voi, VoiWindow, WindowFunction
from cxr_viewer.core.measuring import film_view_words
from cxr_viewer.core.seeing import trust_badge, unseen_strips
from cxr_viewer.core.wording import age_text, name_text, number_text, plain, sex_text, voi_text
from cxr_viewer.imaging import luts
from cxr_viewer.services.session.checking import check_of
from cxr_viewer.services.state import CornerText, Pane
from cxr_viewer.ui import theme
from cxr_viewer.ui.film_text import Line

_DOT = " \N{MIDDLE DOT} "
BADGE_SIGN = "\N{WARNING SIGN}"
HATCHED = "hatched: not seen"
"""Before the words of a map that may not be believed."""
_NO_UNITS = ("US", "UNSPECIFIED")  # Rescale Type (0028,1054) of values without units
_BAR_STEPS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Corners:
    """Lines for each corner, four at most."""

    top_left: tuple[Line, ...] = ()
    top_right: tuple[Line, ...] = ()
    bottom_left: tuple[Line, ...] = ()


def corners(pane: Pane, how_much: CornerText, zoom: float, cursor: Point | None) -> Corners:
    """The corners of the film in ``pane``.

    Args:
        zoom: as it is on screen, also where the film is fitted.
        cursor: image point under the mouse, None when it is elsewhere.
    """
    image = pane.image
    if image is None or how_much is CornerText.HIDDEN:
        return Corners()
    identity = how_much is CornerText.FULL
    return Corners(
        _lines(_patient(image, identity)),
        _lines(_study(image, identity, check_of(pane))),
        _lines(_display(pane, image, zoom, cursor)),
    )


def _lines(texts: list[str]) -> tuple[Line, ...]:
    return tuple(Line(text) for text in texts if text)


def _patient(image: Radiograph, identity: bool) -> list[str]:
    patient = image.patient
    about = [age_text(patient) if patient.age_years is not None else "", sex_text(patient) if patient.sex else ""]
    if not identity:
        return [_DOT.join(text for text in about if text)]
    if patient.birth_date is not None:
        about.insert(0, f"born {patient.birth_date.isoformat()}")
    name = name_text(patient.name) or ("no patient name" if image.is_dicom else "")
    return [name, f"ID {plain(patient.patient_id)}" if patient.patient_id else "", _DOT.join(t for t in about if t)]


def _study(image: Radiograph, identity: bool, check: FilmCheck | None) -> list[str]:
    study = image.study
    kind = _DOT.join(text for text in (film_view_words(image, check), image.modality) if text)
    if not identity:  # free text may hold a name, and an exact date may lead to one
        return [str(study.date.year) if study.date else "", kind]
    date = study.date.isoformat() if study.date else ("no study date" if image.is_dicom else "")
    description = plain(study.description) or plain(study.series_description)
    return [" ".join(text for text in (date, _clock(study.time)) if text), description, kind]


def _clock(time: str) -> str:
    """``HHMMSS.FFFFFF`` (PS3.5 6.2, TM) as ``HH:MM``; nothing where it is something else."""
    digits = time.replace(":", "")
    return f"{digits[:2]}:{digits[2:4]}" if len(digits) >= 4 and digits[:4].isdecimal() else ""


def _display(pane: Pane, image: Radiograph, zoom: float, cursor: Point | None) -> list[str]:
    display = pane.display
    fitted = ", fitted" if display.zoom is None else ""
    inverted = f"{_DOT}inverted" if display.inverted else ""
    return [
        cursor_text(image, cursor),
        *_window(display.voi, display.voi_index if image.voi_from_file else None, len(image.voi)),
        f"zoom {100 * zoom:.0f}\N{NO-BREAK SPACE}%{fitted}{inverted}",
    ]


def _window(voi: Voi | None, index: int | None, count: int) -> list[str]:
    """Numbers and name on lines of their own: in a narrow pane a name may be cut short, a number never."""
    origin = "" if index is None else ("from the file" if count < 2 else f"from the file, {index + 1} of {count}")
    if not isinstance(voi, VoiWindow):
        return [voi_text(voi), origin]
    numbers = f"C {number_text(voi.center)}  W {number_text(voi.width)}"
    function = "" if voi.function is WindowFunction.LINEAR else voi.function.value
    return [numbers, ", ".join(text for text in (plain(voi.label), function, origin) if text)]


def cursor_text(image: Radiograph, cursor: Point | None) -> str:
    """Place (column, row, the first being 0) and modality value or colour of a pixel; empty outside the film."""
    if cursor is None:
        return ""
    value = luts.modality_at(image, cursor.x, cursor.y)
    if value is None:
        return ""
    column, row = math.floor(cursor.x), math.floor(cursor.y)
    place = f"({column}, {row})"
    if image.rgb is not None:
        return f"{place}  RGB {' '.join(str(part) for part in image.rgb[row, column])}"
    units = "" if image.units.upper() in _NO_UNITS else plain(image.units)
    return f"{place}  {number_text(value)} {units}".rstrip()


def notes(pane: Pane) -> tuple[Line, ...]:
    """What is not yet, or not all, of the film; written however little the reader wants to read."""
    image, display = pane.image, pane.display
    if image is None:
        return ()
    lines = []
    if image.preview:
        lines.append(Line("Preview: the whole film is being read", theme.CAUTION))
    if image.frames > 1:
        lines.append(Line(f"Frame {image.key.frame + 1} / {image.frames}"))
    layers = (
        (bool(image.overlays) and not display.overlays, "overlays off"),
        (image.shutter is not None, "shutter on" if display.shutter else "shutter off"),
        (image.padding is not None and not display.padding, "padding shown"),
    )
    hidden = [words for said, words in layers if said]
    if hidden:
        lines.append(Line(_DOT.join(hidden), theme.MUTED))
    return tuple(lines)


def legend_lines(pane: Pane, show_seen: bool, *, outlined: bool = False) -> tuple[Line, ...]:
    """What the model's drawings over the film are: finding and method, whether such maps may be believed, hatching."""
    heatmap, result, image = pane.heatmap, pane.result, pane.image
    if result is None or image is None:
        return ()
    lines = []
    if heatmap is not None:
        lines.append(Line(f"{heatmap.label}{_DOT}{heatmap.method}"))
        badge = trust_badge(heatmap.trust)
        if badge:
            lines.append(Line(f"{BADGE_SIGN} {badge}", theme.CAUTION))
    elif pane.outlines or outlined:
        lines.append(Line("outlined by the model", theme.MUTED))
    if result.limits and (heatmap is not None or pane.outlines):  # of lungs and heart another model is the author
        lines.append(Line("not made for this film", theme.CAUTION))
    if (lines or show_seen) and unseen_strips(result, image.rows, image.columns):
        lines.append(Line(HATCHED, theme.MUTED))
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """A bar of a round length."""

    length_px: float
    text: str


def scale_bar(mm_per_pixel: float, longest_px: float) -> ScaleBar:
    """The longest of 1, 2, 5, 10, 20, 50... mm that fits into ``longest_px`` widget pixels."""
    most = max(longest_px * mm_per_pixel, 1e-6)
    power = 10.0 ** math.floor(math.log10(most))
    length = max(step * power for step in _BAR_STEPS if step * power <= most * (1 + 1e-9))
    text = f"{length / 10:g} cm" if length >= 10 else f"{length:g} mm"
    return ScaleBar(length / mm_per_pixel, text)


def caution_line(image: Radiograph) -> tuple[Line, ...]:
    """The badge that says how many cautions there are, and in words where a part of the film may be missing."""
    count = len(image.cautions)
    if not count:
        return ()
    incomplete = (Line("incomplete or damaged", theme.CAUTION),) if image.damaged else ()
    return (*incomplete, Line(f"\N{WARNING SIGN} {count} caution{'s' if count > 1 else ''}", theme.CAUTION))


def caution_tip(image: Radiograph) -> str:
    """Every caution on a line of its own, with its attribute."""
    return "\n".join(f"{caution.text} [{caution.tag}]" if caution.tag else caution.text for caution in image.cautions)
