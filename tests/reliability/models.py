"""Every film put before installed models: which one the program chooses, what it says, what it saw, where its map lies.

python tests/reliability/models.py [--model ID ...] [--films FOLDER] [--pictures FOLDER] [--write]

What a map shows is said by looked_at.toml, by eye. Its words are dropped as soon as weights or map are others than
those that were looked at.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from driver import DATA, REPOSITORY, machine, plain, write_section

from cxr_viewer.cli import parts
from cxr_viewer.cli.find import find
from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.findings import AnalysisResult, Finding, Heatmap, ModelCard
from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.seeing import film_words
from cxr_viewer.core.wording import age_text, score_text, view_text
from cxr_viewer.services.choice import choose_model
from cxr_viewer.services.state import AUTO, Pane, sorted_findings

BUNDLED = ("paediatric-pneumonia", "adult-findings")
ENGINE = "openvino-f32"  # the first on every computer, whatever is measured to be faster there
LOOKED_AT = Path(__file__).with_name("looked_at.toml")
PAGE = REPOSITORY / "docs/models.md"
SAME_HEAT = 0.03
"""A map whose hottest cell differs by more is another one than the one that was looked at."""


@dataclass(frozen=True, slots=True)
class Row:
    """One film: what its file says, which model was chosen, and what each model answered."""

    film: str
    image: Radiograph
    chosen: str
    reason: str
    answers: dict[str, Pane]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", metavar="ID", help=f"default: {' '.join(BUNDLED)}")
    parser.add_argument("--films", type=Path, default=DATA / "dicom")
    parser.add_argument("--pictures", type=Path, help="write every most urgent map, and what the model saw, as PNG")
    parser.add_argument("--write", action="store_true", help="put the result into docs/models.md")
    arguments = parser.parse_args()
    if not arguments.films.is_dir():
        print(f"{arguments.films} is missing; name a folder with films.")
        return 2
    try:
        cards = tuple(parts.choose_card(parts.catalog(), name) for name in arguments.model or BUNDLED)
    except CxrError as error:
        print(error.summary, error.hint)
        return 2
    rows = []
    for row in ask(arguments.films, cards):
        print(f"{row.film}: {row.chosen}. {row.reason}", flush=True)
        rows.append(row)
        if arguments.pictures is not None:
            write_pictures(row, arguments.pictures)
    text = report(rows, cards)
    print(text)
    if arguments.write:
        write_section("models", text, PAGE)
    return int(any(pane.result is None and pane.refusal is None for row in rows for pane in row.answers.values()))


def ask(folder: Path, cards: tuple[ModelCard, ...]) -> Iterator[Row]:
    """Every film below the folder, before every model."""
    from cxr_viewer.sources.reader import SandboxReader

    with parts.sandbox() as processes, parts.runner(parts.catalog()) as runner:
        films = SandboxReader(processes)
        for item in find([folder], processes, None):
            if item.fault is not None or item.node is None:
                continue
            image = films.read(item.node, CancelToken())
            choice = choose_model(cards, AUTO, image)
            assert choice is not None
            answers = {
                card.model_id: parts.ask(parts.opened(image, card.model_id, ENGINE, cards), runner).panes[0]
                for card in cards
            }
            yield Row(item.path.relative_to(folder).as_posix(), image, choice.model_id, choice.reason, answers)


# ---------------------------------------------------------------- tables


def report(rows: Sequence[Row], cards: Sequence[ModelCard]) -> str:
    words = tomllib.loads(LOOKED_AT.read_text(encoding="utf-8"))
    known = {film: entry["words"] for entry in words["known"] for film in entry["films"]}
    names = ", ".join(f"`{card.model_id}` {card.version} (weights {card.sha256[:8]})" for card in cards)
    scores = " | ".join(", ".join(label.name for label in card.labels) for card in cards)
    lines = [
        f"{names}; {machine()}.",
        "",
        f"| films | known of it | the file says | chosen | {scores} | cut away |",
        "|---|---|---|---|" + "---|" * (len(cards) + 1),
    ]
    alike: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        alike.setdefault(_cells(row, cards, known.get(row.film, "")), []).append(_short(row.film))
    lines += ["| " + " | ".join([", ".join(films), *cells]) + " |" for cells, films in alike.items()]
    why = Counter((row.chosen, row.reason) for row in rows)
    if len(cards) > 1:
        lines += ["", "Why that model:", ""]
        lines += [f"- `{model}`, films: {count}. “{reason}”" for (model, reason), count in why.most_common()]
    lines += [
        "",
        "| model | films | hottest cell | what the map of its most urgent finding shows |",
        "|---|---|--:|---|",
    ]
    for card in cards:
        lines += _map_rows(rows, card, words["looked"])
    return "\n".join(lines)


def _short(film: str) -> str:
    return plain(film.removesuffix(".dcm").removesuffix("/IM000000").replace("media_set_dicomdir/", "disc "))


def _cells(row: Row, cards: Sequence[ModelCard], known: str) -> tuple[str, ...]:
    cells = [known, f"{view_text(row.image)}, {age_text(row.image.patient)}", row.chosen]
    cells += [_scores(row.answers[card.model_id], card) for card in cards]
    cut = dict.fromkeys(_cut_away(row, card.model_id) for card in cards)
    return (*cells, "; ".join(words for words in cut if words))


def _scores(pane: Pane, card: ModelCard) -> str:
    """In the order of the card, a dash where a finding is not offered for the view; bold at or above the operating
    point, in brackets where they do not hold; the program's own words where it refused."""
    if pane.result is None:
        return f"refused: “{pane.refusal.summary}”" if pane.refusal is not None else "failed"
    found = {finding.label: finding for finding in pane.result.findings}
    text = ", ".join(_score(found[label.name]) if label.name in found else "-" for label in card.labels)
    return f"({text})" if pane.result.limits else text


def _score(finding: Finding) -> str:
    text = score_text(finding.score, finding.kind)
    return f"**{text}**" if finding.positive else text


def _cut_away(row: Row, model_id: str) -> str:
    result = row.answers[model_id].result
    words = "the whole film" if result is None else film_words(result, row.image, Orientation())
    share, crop, _ = words.partition(", cropped to the lungs")  # how far from each side matters of the others only
    return "" if words == "the whole film" else f"{model_id} saw {share if crop else words}{crop}"


def _map_rows(rows: Sequence[Row], card: ModelCard, looked: Sequence[dict[str, Any]]) -> list[str]:
    """One row for each description that still holds, and one that names the films nobody has looked at."""
    heats = {row.film: heat for row in rows if (heat := _hottest(row.answers[card.model_id].result)) is not None}
    told: dict[str, list[str]] = {}
    for entry in looked:
        told.setdefault(entry["words"], []).extend(film for film in entry["films"] if holds(entry, film, card, heats))
    left = sorted(set(heats) - {film for films in told.values() for film in films})
    told["not looked at"] = left
    lines = []
    for words, films in told.items():
        if films:
            more = f" and {len(films) - 1} more" if len(films) > 1 and words != "not looked at" else ""
            names = ", ".join(_short(film) for film in (films[:1] if more else films))
            heat = dict.fromkeys(f"{value:.2f}" for value in sorted(heats[film] for film in films))
            span = " to ".join(dict.fromkeys((min(heat), max(heat))))
            lines.append(f"| {card.model_id} | {names}{more} | {span} | {words} |")
    return lines


def holds(entry: dict[str, Any], film: str, card: ModelCard, heats: dict[str, float]) -> bool:
    """Whether a description is of these weights and of a map as hot as the one that was looked at."""
    same = entry["model"] == card.model_id and entry["sha256"] == card.sha256
    return same and film in heats and abs(heats[film] - entry["hottest"]) <= SAME_HEAT


def _most_urgent(result: AnalysisResult | None) -> Heatmap | None:
    if result is None or not result.heatmaps:
        return None
    label = sorted_findings(result)[0].label
    return next(heatmap for heatmap in result.heatmaps if heatmap.label == label)


def _hottest(result: AnalysisResult | None) -> float | None:
    heatmap = _most_urgent(result)
    return None if heatmap is None else float(heatmap.values.max())


# ---------------------------------------------------------------- pictures


def write_pictures(row: Row, folder: Path) -> None:
    """The map of the most urgent finding over the film, and beside it what the model was given."""
    from cxr_viewer.outputs.heatmaps import compose_heatmap

    folder.mkdir(parents=True, exist_ok=True)
    for model_id, pane in row.answers.items():
        heatmap = _most_urgent(pane.result)
        if pane.image is None or pane.result is None or pane.result.saw is None or heatmap is None:
            continue
        film = compose_heatmap(pane.image, pane.display, pane.result, heatmap)
        scale = 900 / film.shape[0]
        film = cv2.resize(film, (round(film.shape[1] * scale), 900), interpolation=cv2.INTER_AREA)
        saw = cv2.resize(pane.result.saw.picture, (900, 900), interpolation=cv2.INTER_NEAREST)
        both = np.hstack([film[..., ::-1], np.repeat(saw[..., None], 3, axis=2)])
        cv2.imwrite(str(folder / f"{model_id}-{row.film.replace('/', '_')}.png"), both)


if __name__ == "__main__":
    sys.exit(main())
