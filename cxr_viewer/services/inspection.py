"""Why a film looks like it does, as words: the chain from file to screen, and what the reader has changed since.

The window only draws what :func:`inspect` says. Nothing of it names the patient unless ``with_identity`` is set, and
even then only where the file itself put such a value into an attribute of the chain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from cxr_viewer.core.confidential import may_leave
from cxr_viewer.core.image import Radiograph, View
from cxr_viewer.core.provenance import ChainStep, Stage
from cxr_viewer.core.transfer_syntax import syntax_name
from cxr_viewer.core.wording import plain, spacing_text, view_text
from cxr_viewer.services.inspected_display import display_lines
from cxr_viewer.services.inspected_film import plain_chain
from cxr_viewer.services.state import Pane, PaneStatus

LEFT_OUT = "\N{EN DASH}"
_DOT = " \N{MIDDLE DOT} "
_SHORTEST_NAME = 3  # letters; a shorter part of a name would be found in ordinary words
_QUOTED = re.compile("\N{LEFT DOUBLE QUOTATION MARK}[^\N{RIGHT DOUBLE QUOTATION MARK}]*")
_ORDINARY_TEXT = """
    after also and are automatic baseline below bits black bottom bright centre circle column computed covers dark
    decoded decoder digital edge entries exchanged file film first for frame from grey hand high image images jpeg left
    lengths lies lines little long lossless low lut made means middle millimetres mono names new normal not nothing one
    only opens other out outside over own page part picture pixel pixels radiography rate read right rows same says
    screen shape short small spacing standard stands storage stored table that the three transfer turned two unsigned
    used value values view white whole wide width will window with word years you
"""
_ORDINARY_WORDS = frozenset(_ORDINARY_TEXT.split())


class LineKind(Enum):
    """What a line is, so that the window can give it a colour."""

    RULE = "rule"
    REFERENCE = "reference"
    TAG = "tag"
    PASSED_OVER = "passed over"
    CAUTION = "caution"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class InspectedLine:
    """One line. ``name`` is what the value belongs to (an attribute); empty for sentences."""

    kind: LineKind
    text: str = field(repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class InspectedSection:
    title: str
    lines: tuple[InspectedLine, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """All there is to say of one pane. ``title`` names the film by view and date, never by a person."""

    title: str
    sections: tuple[InspectedSection, ...]


def inspect(pane: Pane, *, zoom: float, device_ratio: float = 1.0, with_identity: bool = False) -> Inspection:
    """Say why the film of ``pane`` looks as it does.

    Args:
        zoom: device-independent pixels of the screen per image pixel, as shown (also while the film is fitted).
        device_ratio: device pixels per device-independent pixel.
        with_identity: keep values that may tell who the patient is, and the day of the study.
    """
    image = pane.image
    if image is None:
        return _without_film(pane)
    chain = [*_sections_of_chain(image), _millimetres(pane, image)]
    sections = (
        *_cautions(image),
        InspectedSection("On screen now", _rules(display_lines(pane, image, zoom * device_ratio, zoom))),
        *_numbered(chain),
    )
    if not with_identity:
        sections = _anonymous(sections, image)
    return Inspection(film_title(image, with_date=with_identity), sections)


def film_title(image: Radiograph, *, with_date: bool) -> str:
    """``"PA · DX · 2004-01-19"``, with the year alone where ``with_date`` is off; never a name."""
    view = view_text(image) if image.view is not View.UNKNOWN or image.laterality else ""
    date = image.study.date
    day = "" if date is None else date.isoformat() if with_date else str(date.year)
    frame = f"frame {image.key.frame + 1} of {image.frames}" if image.frames > 1 else ""
    kind = plain(image.modality) if image.is_dicom else "picture, not DICOM"
    return _DOT.join(part for part in (view, kind, day, frame) if part) or "film"


def as_text(inspection: Inspection) -> str:
    """The whole as plain text for the clipboard."""
    parts = [f"Why does it look like this? {inspection.title}"]
    for section in inspection.sections:
        lines = "\n".join(f"  {line_text(line)}" for line in section.lines)
        parts.append(f"{section.title}\n{lines}")
    return "\n\n".join(parts) + "\n"


def line_text(line: InspectedLine) -> str:
    """One line as it is read: an attribute with its value, a rule that was passed over behind a dash."""
    if line.kind is LineKind.PASSED_OVER:
        return f"\N{EN DASH} {line.text}"
    return f"{line.name} = {line.text}" if line.name else line.text


# ---------------------------------------------------------------- the parts


def _without_film(pane: Pane) -> Inspection:
    note, words = LineKind.NOTE, "No film is open here."
    if pane.status is PaneStatus.LOADING:
        words = "The film is being read\N{HORIZONTAL ELLIPSIS}"
    if pane.failure is None or pane.status is not PaneStatus.FAILED:
        return Inspection("", (InspectedSection("", (InspectedLine(note, words),)),))
    lines = [InspectedLine(LineKind.CAUTION, pane.failure.summary)]
    lines += [InspectedLine(note, pane.failure.hint)] if pane.failure.hint else []
    return Inspection("", (InspectedSection("Why it is not shown", tuple(lines)),))


def _rules(sentences: Iterable[str]) -> tuple[InspectedLine, ...]:
    return tuple(InspectedLine(LineKind.RULE, sentence) for sentence in sentences)


def _cautions(image: Radiograph) -> tuple[InspectedSection, ...]:
    lines = tuple(
        InspectedLine(LineKind.CAUTION, f"{caution.text} [{caution.tag}]" if caution.tag else caution.text)
        for caution in image.cautions
    )
    return (InspectedSection("Cautions", lines),) if lines else ()


def _sections_of_chain(image: Radiograph) -> list[InspectedSection]:
    """One section for each step but the millimetres, which follow with what the reader has measured."""
    steps = image.chain or plain_chain(image)
    sections = [_section(step) for step in steps if step.stage is not Stage.MILLIMETRES]
    titles = [section.title for section in sections]
    if Stage.DECODER.value not in titles:
        sections.insert(min(2, len(sections)), InspectedSection(Stage.DECODER.value, _rules(_decoding(image, ""))))
        return sections
    place = titles.index(Stage.DECODER.value)
    told = sections[place].lines
    more = _rules(_decoding(image, " ".join(line.text for line in told)))
    sections[place] = replace(sections[place], lines=(*told, *more))
    return sections


def _decoding(image: Radiograph, told: str) -> list[str]:
    """Decoder and transfer syntax, as far as the chain has not ``told`` them."""
    sentences = [f"Decoder used: {image.decoder}."] if image.decoder and image.decoder not in told else []
    if image.transfer_syntax:
        name = syntax_name(image.transfer_syntax)
        known = f" ({image.transfer_syntax})" if name != image.transfer_syntax else ""
        sentences.append(f"Transfer syntax: {name}{known}.")
    elif image.is_dicom:
        sentences.append("The file names no transfer syntax.")
    return sentences


def _section(step: ChainStep) -> InspectedSection:
    lines = [InspectedLine(LineKind.RULE, step.rule)] if step.rule else []
    lines += [InspectedLine(LineKind.REFERENCE, step.reference)] if step.reference else []
    lines += [InspectedLine(LineKind.TAG, plain(tag.value) or LEFT_OUT, tag.name) for tag in step.tags]
    lines += [InspectedLine(LineKind.PASSED_OVER, why) for why in step.passed_over]
    return InspectedSection(step.stage.value, tuple(lines))


def _millimetres(pane: Pane, image: Radiograph) -> InspectedSection:
    told = next((step for step in image.chain if step.stage is Stage.MILLIMETRES), None)
    now = spacing_text(image.spacing)
    if pane.calibrated:
        of_file = spacing_text(pane.file_spacing)
        first = [f"In use: {now} (you measured it on this film)."]
        first += [f"The file says: {of_file}."] if told is None else ["Of the file itself:"]
    elif told is not None:
        first = []
    else:
        first = ["Not calibrated: lengths are in pixels." if image.spacing is None else f"In use: {now}."]
    lines = _rules(first)
    if told is not None:
        lines += _section(told).lines
    return InspectedSection(Stage.MILLIMETRES.value, lines)


def _numbered(sections: Iterable[InspectedSection]) -> list[InspectedSection]:
    return [replace(section, title=f"{number}  {section.title}") for number, section in enumerate(sections, 1)]


# ---------------------------------------------------------------- without identity


def _anonymous(sections: tuple[InspectedSection, ...], image: Radiograph) -> tuple[InspectedSection, ...]:
    """The same without values of attributes that may identify, and without the patient's name and numbers anywhere."""
    clean = _eraser(image)

    def line(one: InspectedLine) -> InspectedLine:
        if one.kind is LineKind.TAG and not may_leave(one.name):
            return replace(one, text=LEFT_OUT)
        return replace(one, text=clean(one.text))

    return tuple(replace(section, lines=tuple(map(line, section.lines))) for section in sections)


def _eraser(image: Radiograph) -> Callable[[str], str]:
    """What takes the patient's name and numbers out of a sentence.

    A name that is also a word of these sentences (Mr White) is taken out only where a file is quoted: missing from
    "black and white are exchanged" it would tell more than it hides.
    """
    patient, study = image.patient, image.study
    names = {part for part in re.split(r"[\s,^=()]+", patient.name) if len(part) >= _SHORTEST_NAME}
    numbers = {number for number in (patient.patient_id, study.accession_number) if len(number) >= _SHORTEST_NAME}
    if patient.birth_date is not None:
        numbers |= {patient.birth_date.isoformat(), patient.birth_date.strftime("%Y%m%d")}
    ordinary = {name for name in names if name.lower() in _ORDINARY_WORDS}
    anywhere, quoted = _pattern(names - ordinary | numbers), _pattern(ordinary)

    def erase(text: str) -> str:
        text = _QUOTED.sub(lambda part: quoted.sub(LEFT_OUT, part.group()), text)
        return anywhere.sub(LEFT_OUT, text)

    return erase


def _pattern(words: set[str]) -> re.Pattern[str]:
    longest_first = sorted(map(re.escape, words), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(longest_first) or '(?!)'})(?!\w)", re.IGNORECASE)
