"""What a site's calibration did, for a terminal and as ``calibration.html``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cxr_viewer.core.findings import Metric
from cxr_viewer.training.calibrating import AS_SHIPPED, FIGURES, FOR_SITE, LabelTuning, SiteTuning
from cxr_viewer.training.reports import html
from cxr_viewer.training.reports.plots import BLUE, ORANGE, as_image, reliability_figure

PAGE_NAME = "calibration.html"


def as_lines(found: SiteTuning) -> list[str]:
    """What came out, for a terminal."""
    lines = []
    for label in found.labels:
        lines.append(f"{label.name} ({label.positives} films with it, {label.negatives} without): {label.words}")
        for name in FIGURES if label.tuned is not None else ():
            before, after = _pair(label, name)
            lines.append(f"  {name:<24} {_told(before):<26} -> {_told(after)}")
    return [*lines, *found.warnings]


def save(found: SiteTuning, folder: Path) -> None:
    """Write the page into ``folder``. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    html.write(calibration_page(found), folder / PAGE_NAME)


def calibration_page(found: SiteTuning) -> str:
    """The page as one text."""
    site = found.calibration
    under = (
        f"{found.data}. "
        + (f"Made for {site.text}. " if site is not None else "")
        + "Figures are of films whose patients had no part in the calibration."
    )
    parts = [html.note(*found.warnings), *(html.section(one.name, *_label(one)) for one in found.labels)]
    parts.append(html.section("What this is", html.paragraph(_WORDS)))
    return html.page(f"Calibration of {found.card.name} {found.card.version}", under, parts)


_WORDS = (
    "The network is unchanged; only the scale of its scores and the operating points were tuned. Five times a fifth "
    "of the patients was held out and the rest tuned, so no film is measured with a calibration it had a part in. The "
    "new one is used where log loss or the balance of sensitivity and specificity is better beyond chance. It holds "
    "for films like these: taken in the order in which patients came, with the finding as common as it is in daily "
    "work."
)


def _label(found: LabelTuning) -> Iterator[str]:
    yield html.paragraph(f"{found.positives} films with it, {found.negatives} without. {found.words}")
    if found.tuned is None:
        return
    curves = tuple(zip(found.bins, (ORANGE, BLUE), (AS_SHIPPED, FOR_SITE), strict=True))
    yield html.image(as_image(reliability_figure(curves)), f"Reliability of {found.name}", "curve")
    rows = []
    for name in FIGURES:
        pair = _pair(found, name)
        gain = next((one for one in found.gains if one.name == f"{name} difference"), None)
        cells = [cell for one in pair for cell in (html.value_text(one), html.interval_text(one))]
        rows.append((name, *cells, "" if gain is None else f"{gain.value:+.3f}", _signed(gain)))
    heads = ("Figure", AS_SHIPPED, "95 %", FOR_SITE, "95 %", "Difference", "95 %")
    yield html.table(heads, rows, numbers=(1, 3, 5))
    site = found.tuned
    yield html.heading("What is kept")
    yield html.table(
        ("Operating point", "Threshold", "Sensitivity", "Specificity"),
        [(one.name, f"{one.threshold:.4g}", f"{one.sensitivity:.3f}", f"{one.specificity:.3f}") for one in site.points],
        numbers=(1, 2, 3),
    )
    yield html.paragraph(
        f"In use: {site.point}. Temperature {site.temperature:.4g}, bias {site.bias:.4g} ({site.fitted}). The number "
        f"is shown as: {site.score_kind.value}. Operating points are counted on the films they were chosen on."
    )


def _pair(found: LabelTuning, name: str) -> tuple[Metric | None, Metric | None]:
    by_group = {metric.group: metric for metric in found.metrics if metric.name == name}
    return by_group.get(AS_SHIPPED), by_group.get(FOR_SITE)


def _told(metric: Metric | None) -> str:
    return "" if metric is None else f"{html.value_text(metric)} ({html.interval_text(metric)})"


def _signed(gain: Metric | None) -> str:
    if gain is None or gain.low is None or gain.high is None:
        return ""
    return f"{gain.low:+.3f} to {gain.high:+.3f}"
