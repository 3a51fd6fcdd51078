"""What a model was given of a film, and how far its maps may be believed: geometry and words.

Screen, report and command line say the same because they ask here. Nothing is guessed: lengths are in millimetres only
where the film has a spacing, else in pixels of the film.
"""

from __future__ import annotations

from cxr_viewer.core.findings import AnalysisResult, MapEvidence, MapTrust, ModelCard, Saw
from cxr_viewer.core.geometry import ImageRect, Orientation
from cxr_viewer.core.image import PixelSpacing, Radiograph
from cxr_viewer.core.wording import plain

_NBSP = "\N{NO-BREAK SPACE}"
_TIMES = f"{_NBSP}x{_NBSP}"
_EDGES = ("left", "top", "right", "bottom")
_EDGE_PX = 0.5  # a strip narrower than half a pixel of the film is none
_SQUARE = 0.02  # sides of a model's pixel that differ by less are called equal


def given_area(result: AnalysisResult, rows: int, columns: int) -> ImageRect | None:
    """The part of the film the model was given, in image pixels; None where it was given nothing of it."""
    parts = [result.seen, ImageRect(0, 0, columns, rows)]
    if result.saw is not None and result.saw.given is not None:
        parts.append(result.saw.given)
    left, top = max(part.x for part in parts), max(part.y for part in parts)
    right, bottom = min(part.right for part in parts), min(part.bottom for part in parts)
    return ImageRect(left, top, right - left, bottom - top) if right > left and bottom > top else None


def unseen_strips(result: AnalysisResult, rows: int, columns: int) -> tuple[ImageRect, ...]:
    """The parts of the film the model was not given, in image pixels; they do not overlap.

    Above and below over the whole width, then what is left of the sides. Padding outside the film is no part of it.
    """
    area = given_area(result, rows, columns)
    if area is None:
        return (ImageRect(0, 0, columns, rows),)
    strips = []
    if area.y >= _EDGE_PX:
        strips.append(ImageRect(0, 0, columns, area.y))
    if rows - area.bottom >= _EDGE_PX:
        strips.append(ImageRect(0, area.bottom, columns, rows - area.bottom))
    if area.x >= _EDGE_PX:
        strips.append(ImageRect(0, area.y, area.x, area.height))
    if columns - area.right >= _EDGE_PX:
        strips.append(ImageRect(area.right, area.y, columns - area.right, area.height))
    return tuple(strips)


def seen_share(result: AnalysisResult, rows: int, columns: int) -> float:
    """Which share of the film the model was given, 0..1."""
    area = given_area(result, rows, columns)
    return 0.0 if area is None else area.width * area.height / (rows * columns)


def padded_share(result: AnalysisResult, rows: int, columns: int) -> float:
    """Which share of the model's input is no film but filled up, 0..1."""
    area = given_area(result, rows, columns)
    seen = result.seen.width * result.seen.height
    return 1.0 if area is None else max(0.0, 1.0 - area.width * area.height / seen)


# ---------------------------------------------------------------- in words


def seen_rows(
    result: AnalysisResult, image: Radiograph, orientation: Orientation | None = None
) -> tuple[tuple[str, str], ...]:
    """(name, words) of each thing worth knowing about what the model was given.

    Args:
        orientation: how the film lies before the reader, so that left is the left the reader sees.
    """
    rows = [("Film", film_words(result, image, orientation or Orientation()))]
    filled = padded_share(result, image.rows, image.columns)
    if filled >= 0.005:
        rows.append(("Filled up", f"{_percent(filled)} of the input is black that was added to make it square"))
    saw = result.saw
    if saw is None:
        return tuple(rows)
    size = saw.picture.shape[0]
    rows.insert(0, ("Input", f"{size}{_TIMES}{saw.picture.shape[1]} pixels, grey"))
    rows.append(("Resolution", resolution_words(result.seen, saw.picture.shape, image.spacing)))
    rows.append(("Polarity", _polarity_words(saw, image)))
    rows.append(("Clipped", f"{_percent(saw.clipped)} of it is as dark or as bright as the input can be"))
    return tuple(rows)


def _polarity_words(saw: Saw, image: Radiograph) -> str:
    if saw.turned:
        return "stored with bone dark; given to the model with bone bright"
    if not image.is_dicom:
        return "given to the model as stored; the file does not say whether bone is bright"
    return "stored with bone bright, and given to the model so"


def seen_sentence(result: AnalysisResult, image: Radiograph, orientation: Orientation | None = None) -> str:
    """What the model was given, in one line."""
    saw = f"the model saw {film_words(result, image, orientation or Orientation())}."
    if result.saw is None:
        return f"T{saw[1:]}"
    rows, columns = result.saw.picture.shape
    return f"At {columns}{_TIMES}{rows} pixels {saw}"


def film_words(result: AnalysisResult, image: Radiograph, orientation: Orientation) -> str:
    """``"86 % of the film: 1.2 cm at the left and 2.0 cm at the top were cut away"``; ``"of the film, cropped to the
    lungs:"`` where that is why."""
    rows, columns = image.rows, image.columns
    area = given_area(result, rows, columns)
    if area is None:
        return "nothing of the film"
    cuts = (area.x, area.y, columns - area.right, rows - area.bottom)
    places = _as_shown(orientation)
    found = {
        place: f"{_length(cut, image.spacing, across=side % 2 == 0)} at the {place}"
        for side, (cut, place) in enumerate(zip(cuts, places, strict=True))
        if cut >= _EDGE_PX
    }
    words = [found[place] for place in _EDGES if place in found]
    if not words:
        return "the whole film"
    one = len(words) == 1 and (image.spacing is not None or words[0].startswith(f"1{_NBSP}"))
    were = "was" if one else "were"
    cropped = f", cropped to the {result.saw.crop}" if result.saw is not None and result.saw.crop else ""
    return f"{_share(seen_share(result, rows, columns))} of the film{cropped}: {_listed(words)} {were} cut away"


def _as_shown(orientation: Orientation) -> list[str]:
    """For the stored image's left, top, right and bottom edge: the edge at which the reader sees it."""
    left, top, right, bottom = _EDGES
    places = [right, top, left, bottom] if orientation.flipped else [left, top, right, bottom]
    clockwise = {left: top, top: right, right: bottom, bottom: left}
    for _ in range(orientation.quarter_turns):
        places = [clockwise[place] for place in places]
    return places


def resolution_words(seen: ImageRect, shape: tuple[int, ...], spacing: PixelSpacing | None) -> str:
    """How much of the film one pixel of the model's input is.

    Args:
        seen: the part of the image the input covers, in image pixels.
        shape: (rows, columns) of the input.
    """
    across, down = seen.width / shape[1], seen.height / shape[0]
    unit = f"pixel{'' if _alike(across, 1.0) and _alike(down, 1.0) else 's'} of the film"
    if spacing is not None:
        across, down, unit = across * spacing.column_mm, down * spacing.row_mm, "mm of the film"
    size = _short(across) if _alike(across, down) else f"{_short(across)}{_TIMES}{_short(down)}"
    squeezed = "" if _alike(across, down) else " (width x height): the film was squeezed to a square"
    return f"one pixel of the model is {size}{_NBSP}{unit}{squeezed}"


def _alike(first: float, second: float) -> bool:
    return abs(first - second) <= _SQUARE * max(first, second)


def _length(pixels: float, spacing: PixelSpacing | None, *, across: bool) -> str:
    if spacing is None:
        return f"{pixels:.0f}{_NBSP}pixel{'s' if round(pixels) != 1 else ''}"
    mm = pixels * (spacing.column_mm if across else spacing.row_mm)
    if mm < 1:
        return f"less than 1{_NBSP}mm"
    return f"{mm / 10:.1f}{_NBSP}cm" if mm >= 10 else f"{mm:.0f}{_NBSP}mm"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _share(share: float) -> str:
    """Of a film of which something is missing: never 100 %."""
    percent = 100 * share
    return (
        f"more than 99{_NBSP}%" if percent >= 99 else f"{percent:.0f}{_NBSP}%" if percent >= 1 else f"<{_NBSP}1{_NBSP}%"
    )


def _percent(share: float) -> str:
    if 0 < share < 0.005:
        return f"less than 1{_NBSP}%"
    return f"{100 * share:.0f}{_NBSP}%"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


# ---------------------------------------------------------------- how far a map may be believed


def trust_badge(trust: MapTrust) -> str:
    """What is written wherever the map is shown; empty for maps that were found to show the place."""
    return "" if trust is MapTrust.RELIABLE else trust.value


def map_evidence(card: ModelCard | None, label: str, method: str) -> MapEvidence | None:
    """The measured localisation of a finding's maps by a method, where the card has it."""
    if card is None:
        return None
    return next((one for one in card.map_evidence if (one.label, one.method) == (label, method)), None)


def trust_words(card: ModelCard | None, label: str, method: str, trust: MapTrust) -> str:
    """Why a map carries its badge, with the figures of the card where it has them."""
    evidence = map_evidence(card, label, method)
    if evidence is None:
        return _WITHOUT_FIGURES[trust]
    hit, fixed = round(evidence.pointing * evidence.count), round(evidence.fixed_point * evidence.count)
    data = f" ({plain(evidence.data)})" if evidence.data else ""
    figures = f"hottest point inside the box on {hit} of {evidence.count} films{data}; a fixed point: {fixed}."
    return f"{_VERDICTS[trust]}: {figures}"


_VERDICTS = {
    MapTrust.RELIABLE: "Better than a fixed point",
    MapTrust.NOT_RELIABLE: "Map not reliable, no better than a fixed point beyond chance",
    MapTrust.NOT_TESTED: "Map not tested",
}
_WITHOUT_FIGURES = {
    MapTrust.RELIABLE: "Such maps were found to show the place better than a fixed point.",
    MapTrust.NOT_RELIABLE: "Map not reliable: such maps show the place no better than a fixed point.",
    MapTrust.NOT_TESTED: "Map not tested: such maps were not compared with boxes drawn by people.",
}
