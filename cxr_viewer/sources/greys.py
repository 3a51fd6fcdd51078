"""The grey chain a file asks for: modality LUT, VOI, padding, presentation (PS3.3 C.11.1, C.11.2, C.7.5.1.1.2, C.11.6).

What is broken is left out with a caution naming the attribute, so that a :class:`Radiograph` carries only what works.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from cxr_viewer.core.image import ModalityTable, Rescale, Voi, VoiTable, VoiWindow, WindowFunction
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import colour
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.tables import InputRange, table
from cxr_viewer.sources.tolerant import Cautions

LARGEST = 1e9
"""No radiograph has grey values beyond this; larger numbers are damage and would overflow later."""

MOST_TABLES = 32
"""No film has a tenth of it; each is an array that has to cross from the reader process."""
_MODALITY_TAGS = ("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType")
_VOI_TAGS = ("VOILUTSequence", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction")
_FUNCTION_REFERENCES = {
    WindowFunction.LINEAR: "PS3.3 C.11.2.1.2.1",
    WindowFunction.LINEAR_EXACT: "PS3.3 C.11.2.1.3.2",
    WindowFunction.SIGMOID: "PS3.3 C.11.2.1.3.1",
}


@dataclass(frozen=True, slots=True, eq=False)
class GreyChain:
    modality_lut: Rescale | ModalityTable
    voi: tuple[Voi, ...]
    padding: tuple[int, int] | None
    presentation_lut_shape: str
    units: str


def grey_chain(ds: Dataset, bits_stored: int, signed: bool, photometric: str, cautions: Cautions) -> GreyChain:
    """The chain for grey pixels of ``bits_stored`` bits, as decoded."""
    lut, units = _modality(ds, _stored_range(bits_stored, signed), cautions)
    values = _modality_range(lut, _stored_range(bits_stored, signed))
    voi = _voi_tables(ds, values, cautions) + _voi_windows(ds, cautions)
    _tell_voi(ds, voi, cautions)
    return GreyChain(lut, voi, _padding(ds, signed, cautions), _shape(ds, photometric, cautions), units)


def colour_chain(ds: Dataset, bits: int, cautions: Cautions) -> GreyChain:
    """The chain for pixels to which the file's own does not apply: RGB, YBR and PALETTE COLOR (PS3.3 C.7.6.3.1.2)."""
    story = cautions.story
    for stage, tags in ((Stage.MODALITY, _MODALITY_TAGS), (Stage.VOI, _VOI_TAGS)):
        if there := tol.tag_values(ds, *tags):
            story.pass_over(stage, "What the file says holds for grey pixels only and is passed over.", there)
    story.tell(Stage.MODALITY, "Stored values are taken as they are.", "PS3.3 C.11.1")
    story.tell(Stage.VOI, "The picture is shown as stored: no window is applied.", "PS3.3 C.7.6.3.1.2")
    story.tell(Stage.PRESENTATION, "Colours are shown as they are.", "PS3.3 C.7.6.3.1.2")
    story.tell(Stage.PADDING, "Colour pictures have no padding.", "PS3.3 C.7.5.1.1.2")
    return GreyChain(Rescale(), (colour.as_stored(bits),), None, "", "")


def _stored_range(bits_stored: int, signed: bool) -> InputRange:
    if signed:
        return InputRange(-(1 << bits_stored - 1), (1 << bits_stored - 1) - 1)
    return InputRange(0, (1 << bits_stored) - 1)


def _modality_range(lut: Rescale | ModalityTable, stored: InputRange) -> InputRange:
    if isinstance(lut, ModalityTable):
        return InputRange(int(lut.values.min()), int(lut.values.max()))
    ends = [end * lut.slope + lut.intercept for end in (stored.lowest, stored.highest)]
    return InputRange(min(ends), max(ends))


# ---------------------------------------------------------------- modality


def _modality(ds: Dataset, stored: InputRange, cautions: Cautions) -> tuple[Rescale | ModalityTable, str]:
    story, tags = cautions.story, tol.tag_values(ds, *_MODALITY_TAGS)
    for item in tol.items(ds, "ModalityLUTSequence", limit=1):
        found = table(item, stored, "ModalityLUTSequence", cautions)
        if found is None:
            story.pass_over(Stage.MODALITY, "The Modality LUT is broken and is left out.")
            continue
        first, values, bits = found
        rule = f"A table of {values.size} entries from stored value {first} on, {bits} bits, is applied."
        story.tell(Stage.MODALITY, rule, "PS3.3 C.11.1.1", tags)
        if tol.has(ds, "RescaleSlope"):
            story.pass_over(
                Stage.MODALITY, "Rescale Slope and Intercept are passed over: the Modality LUT stands first."
            )
        return ModalityTable(first, values, bits), _unit(tol.text(item, "ModalityLUTType"))
    rescale = _rescale(ds, cautions)
    if rescale == Rescale():
        story.tell(Stage.MODALITY, "Stored values are taken as they are (slope 1, intercept 0).", "PS3.3 C.11.1", tags)
    else:
        rule = f"Stored values are multiplied by {rescale.slope:g}, then {rescale.intercept:g} is added."
        story.tell(Stage.MODALITY, rule, "PS3.3 C.11.1", tags)
    return rescale, _unit(tol.text(ds, "RescaleType"))


def _unit(rescale_type: str) -> str:
    return "" if rescale_type.upper() in ("US", "UNSPECIFIED") else rescale_type[:16]


def _rescale(ds: Dataset, cautions: Cautions) -> Rescale:
    found = []
    for keyword, absent in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)):
        value = tol.number(ds, keyword) if tol.has(ds, keyword) else absent
        if value is None or abs(value) > LARGEST or (keyword == "RescaleSlope" and value == 0):
            cautions.add("bad-rescale", "The rescaling of grey values in the file is broken and is left out.", keyword)
            cautions.story.pass_over(Stage.MODALITY, f"The rescale is left out: {tol.tag_name(keyword)} is impossible.")
            return Rescale()
        found.append(value)
    return Rescale(*found)


# ---------------------------------------------------------------- VOI


def _voi_tables(ds: Dataset, asked: InputRange, cautions: Cautions) -> tuple[Voi, ...]:
    found: list[Voi] = []
    for number, item in enumerate(tol.items(ds, "VOILUTSequence", limit=MOST_TABLES + 1), start=1):
        if number > MOST_TABLES:
            cautions.add(
                "many-luts", f"Of the file's VOI tables the first {MOST_TABLES} are offered.", "VOILUTSequence"
            )
            break
        entry = table(item, asked, "VOILUTSequence", cautions)
        if entry is None:
            cautions.story.pass_over(Stage.VOI, f"Item {number} of the VOI LUT Sequence is broken and is left out.")
            continue
        first, values, bits = entry
        found.append(VoiTable(first, values, bits, tol.text(item, "LUTExplanation") or f"LUT {number}"))
    return tuple(found)


def _voi_windows(ds: Dataset, cautions: Cautions) -> tuple[Voi, ...]:
    centers, widths = tol.numbers(ds, "WindowCenter"), tol.numbers(ds, "WindowWidth")
    if not centers and not widths:
        return ()
    name = tol.code_string(ds, "VOILUTFunction") or "LINEAR"
    if name not in WindowFunction.__members__:
        cautions.add("bad-window", "The file's window uses an unknown function and is left out.", "VOILUTFunction")
        cautions.story.pass_over(Stage.VOI, "The windows are left out: their function is unknown.")
        return ()
    function = WindowFunction[name]
    if len(centers) != len(widths):
        cautions.add("bad-window", "The file gives unequal numbers of window centres and widths.", "WindowWidth")
    labels = tol.strings(ds, "WindowCenterWidthExplanation")
    found: list[Voi] = []
    for index, (center, width) in enumerate(zip(centers, widths, strict=False)):
        if center is None or width is None or not _good_window(center, width, function):
            wrong = "WindowCenter" if center is None or abs(center) > LARGEST else "WindowWidth"
            cautions.add("bad-window", "A window in the file is impossible and is left out.", wrong)
            cautions.story.pass_over(Stage.VOI, f"Window {index + 1} is left out: {tol.tag_name(wrong)} is impossible.")
            continue
        label = labels[index] if index < len(labels) and labels[index] else ""
        found.append(VoiWindow(center, width, function, label or (f"Window {index + 1}" if len(centers) > 1 else "")))
    return tuple(found)


def _good_window(center: float, width: float, function: WindowFunction) -> bool:
    if abs(center) > LARGEST or width > LARGEST:
        return False
    return width >= 1 if function is WindowFunction.LINEAR else width > 0


def _tell_voi(ds: Dataset, voi: tuple[Voi, ...], cautions: Cautions) -> None:
    story, tags = cautions.story, tol.tag_values(ds, *_VOI_TAGS)
    if not voi:
        none = "No window or table of the file can be used" if tags else "The file holds no window and no table"
        story.tell(Stage.VOI, f"{none}: the greys reach from its lowest to its highest value.", "PS3.3 C.11.2", tags)
        return
    default = voi[0]
    why = "the first in the file" if len(voi) > 1 else "the only one in the file"
    if len(voi) < _offered(ds):
        why += " that can be used"
    if isinstance(default, VoiTable):
        reference = "PS3.3 C.11.2.1.1"
        if any(isinstance(other, VoiWindow) for other in voi):
            why += ", and a table precedes windows"
    else:
        reference = _FUNCTION_REFERENCES[default.function]
    story.tell(Stage.VOI, f"The film opens with {_described(default)}: it is {why}.", reference, tags)
    for other in voi[1:]:
        story.pass_over(Stage.VOI, f"Also offered: {_described(other)}.")


def _offered(ds: Dataset) -> int:
    """Tables and windows that the file names, whether or not they can be used."""
    windows = min(len(tol.numbers(ds, "WindowCenter")), len(tol.numbers(ds, "WindowWidth")))
    return windows + sum(1 for _ in tol.items(ds, "VOILUTSequence", limit=MOST_TABLES))


def _described(voi: Voi) -> str:
    name = f" “{voi.label}”" if voi.label else ""
    if isinstance(voi, VoiTable):
        return f"the table{name} ({voi.values.size} entries from {voi.first} on, {voi.bits} bits)"
    return f"the window{name} (centre {voi.center:g}, width {voi.width:g}, {voi.function.value})"


# ---------------------------------------------------------------- padding and presentation


def _padding(ds: Dataset, signed: bool, cautions: Cautions) -> tuple[int, int] | None:
    """(lowest, highest) padding value as stored, inclusive."""
    story, reference = cautions.story, "PS3.3 C.7.5.1.1.2"
    value = tol.integer(ds, "PixelPaddingValue")
    tags = tol.tag_values(ds, "PixelPaddingValue", "PixelPaddingRangeLimit")
    if value is None:
        story.tell(Stage.PADDING, "The file names no padding.", reference, tags)
        return None
    limit = tol.integer(ds, "PixelPaddingRangeLimit")
    ends = [_as_stored(end, signed) for end in (value, value if limit is None else limit)]
    low, high = min(ends), max(ends)
    named = f"Stored value {low} is" if low == high else f"Stored values {low} to {high} are"
    rule = f"{named} padding: left out of statistics and of the automatic window, and shown black until switched off."
    story.tell(Stage.PADDING, rule, reference, tags)
    return (low, high)


def _as_stored(value: int, signed: bool) -> int:
    """US or SS is the writer's choice; the bits mean what Pixel Representation says."""
    value &= 0xFFFF
    return value - 65536 if signed and value >= 32768 else value


def _shape(ds: Dataset, photometric: str, cautions: Cautions) -> str:
    shape = _known_shape(ds, photometric, cautions)
    inverted = shape == "INVERSE" or (photometric == "MONOCHROME1" and not shape)
    named = tol.has(ds, "PresentationLUTShape") or tol.has(ds, "PresentationLUTSequence")
    without = "whose presentation cannot be used" if named else "which names no Presentation LUT Shape"
    why = f"Presentation LUT Shape is {shape}" if shape else f"the pixels are {photometric} in this file, {without}"
    rule = f"{'Dark and bright are exchanged' if inverted else 'Low values are dark'}: {why}."
    tags = tol.tag_values(ds, "PhotometricInterpretation", "PresentationLUTShape", "PresentationLUTSequence")
    cautions.story.tell(Stage.PRESENTATION, rule, "PS3.3 C.11.6.1.2" if shape else "PS3.3 C.7.6.3.1.2", tags)
    return shape


def _known_shape(ds: Dataset, photometric: str, cautions: Cautions) -> str:
    shape = tol.code_string(ds, "PresentationLUTShape")
    if not shape:
        if tol.has(ds, "PresentationLUTSequence"):
            cautions.add("presentation-lut", "The file's presentation table is not applied.", "PresentationLUTSequence")
            cautions.story.pass_over(Stage.PRESENTATION, "The Presentation LUT Sequence is not applied.")
        return ""
    if shape not in ("IDENTITY", "INVERSE"):
        text = "The file's presentation shape is unknown and is left out."
        cautions.add("presentation-lut", text, "PresentationLUTShape")
        cautions.story.pass_over(Stage.PRESENTATION, "The Presentation LUT Shape is unknown and is left out.")
        return ""
    if (shape == "IDENTITY") == (photometric == "MONOCHROME1"):
        cautions.add(
            "polarity-conflict",
            f"The file says {photometric} and {shape}, which contradict each other: check whether bone is white.",
            "PresentationLUTShape",
        )
        told = f"That {photometric} asks for the contrary is passed over: the shape decides."
        cautions.story.pass_over(Stage.PRESENTATION, told)
    return shape
