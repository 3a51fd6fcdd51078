"""Pieces of a page: one file, nothing fetched, made to be read on paper as well."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cxr_viewer import __version__
from cxr_viewer.core.findings import Metric
from cxr_viewer.core.report import DISCLAIMER

_STYLE = """
:root { color: #1d2830; background: #fff; font: 15px/1.5 "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; border-bottom: 2px solid #1f5f99; padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .4rem 0; }
.under { color: #55626c; margin-bottom: 1.2rem; }
.note { border-left: 4px solid #c4541a; background: #fdf3ec; padding: .6rem .9rem; margin: 1rem 0; }
table { border-collapse: collapse; margin: .4rem 0 1rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #dde3e8; vertical-align: top; }
th { font-weight: 600; color: #34424d; border-bottom-color: #8b98a3; }
td.number, th.number { text-align: right; }
td.interval { color: #55626c; white-space: nowrap; }
pre { background: #f4f6f8; padding: .7rem .9rem; font-size: .8rem; overflow-x: auto; }
img.curves { height: 20rem; max-width: 100%; object-fit: contain; object-position: left; }
img.curve { height: 20rem; }
.films { display: flex; flex-wrap: wrap; gap: .9rem; }
.films figure { margin: 0; width: 19rem; }
.films img { width: 100%; background: #000; display: block; }
figcaption { font-size: .82rem; color: #34424d; }
footer { margin-top: 2.5rem; padding-top: .6rem; border-top: 1px solid #8b98a3; color: #55626c; font-size: .85rem; }
@media print {
  :root { font-size: 11px; } body { margin: 0; max-width: none; padding: 0; }
  section, figure, table { break-inside: avoid; } h2, h3 { break-after: avoid; }
}
"""


def page(title: str, under: str, parts: Iterable[str]) -> str:
    """A whole page; every text that comes from outside has to be escaped by the pieces below."""
    body = "\n".join(part for part in parts if part)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{said(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{said(title)}</h1>\n"
        f'<p class="under">{said(under)}</p>\n{body}\n'
        f"<footer>{said(DISCLAIMER)} Made by cxr-viewer {__version__}; figures and pictures stayed on this computer. "
        "Intervals are 95 %, drawn over patients.</footer>\n</body>\n</html>\n"
    )


def said(text: object) -> str:
    """A text as it may stand in a page."""
    return html.escape(str(text))


def section(title: str, *parts: str) -> str:
    inner = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{said(title)}</h2>\n{inner}\n</section>"


def paragraph(text: str) -> str:
    return f"<p>{said(text)}</p>"


def note(*sentences: str) -> str:
    """Sentences that must not be overlooked; nothing where there are none."""
    if not sentences:
        return ""
    return '<div class="note">' + "".join(f"<p>{said(text)}</p>" for text in sentences) + "</div>"


def heading(text: str) -> str:
    return f"<h3>{said(text)}</h3>"


def image(address: str, words: str, kind: str = "curves") -> str:
    return f'<img class="{kind}" alt="{said(words)}" src="{address}">'


def figure(address: str, caption: str) -> str:
    return f'<figure><img alt="film" src="{address}"><figcaption>{said(caption)}</figcaption></figure>'


def films(figures: Sequence[str]) -> str:
    return f'<div class="films">{"".join(figures)}</div>' if figures else ""


def pre(text: str) -> str:
    return f"<pre>{said(text)}</pre>"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> str:
    """A table; ``numbers`` are the columns that are set to the right."""
    kinds = [' class="number"' if column in numbers else "" for column in range(len(heads))]
    top = "".join(f"<th{kind}>{said(head)}</th>" for head, kind in zip(heads, kinds, strict=True))
    lines = [
        "<tr>" + "".join(f"<td{kind}>{said(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    ]
    return f"<table>\n<tr>{top}</tr>\n" + "\n".join(lines) + "\n</table>"


def left_out(unreadable: Sequence[tuple[str, str]]) -> Iterator[str]:
    """How many films could not be read, with the places of the first; nothing where all could.

    Args:
        unreadable: place and sentence of each.
    """
    if unreadable:
        places = ", ".join(place for place, _ in unreadable[:5])
        yield f"Left out, because they could not be read: {len(unreadable)} ({places})."


def films_text(count: int) -> str:
    """``"1 film"``, ``"12 films"``."""
    return "1 film" if count == 1 else f"{count} films"


def value_text(metric: Metric | None) -> str:
    """``"0.844"``, an empty text where there is no figure."""
    return "" if metric is None else f"{metric.value:.3f}"


def interval_text(metric: Metric | None) -> str:
    """``"0.803 to 0.881"``; in words where the films do not allow one."""
    if metric is None:
        return ""
    if metric.low is None or metric.high is None:
        return "too few films to tell"
    return f"{metric.low:.3f} to {metric.high:.3f}"


def write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
