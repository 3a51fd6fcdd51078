"""``cxr-viewer analyse``: scores and heat maps for files and folders."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr_viewer.cli import archives, parts
from cxr_viewer.cli.answers import Answer, JsonWriter, LineWriter, answer_of, failed
from cxr_viewer.cli.find import Item, find
from cxr_viewer.cli.pipeline import reading_ahead
from cxr_viewer.cli.progress import progress
from cxr_viewer.core.errors import ExportError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken, failure_from
from cxr_viewer.services.ports import ModelRunner
from cxr_viewer.services.state import Pane

if TYPE_CHECKING:
    from cxr_viewer.sources.sandbox import Sandbox

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_EPILOG = """\
One object per file, in a JSON array (one object per line when OUT ends in .jsonl):
  file, member (of a ZIP archive), status (ok, refused, failed), reason, hint, image, model, check, anatomy,
  overridden, turns, findings, withheld, calibration, seen, limits, cautions, heatmaps, seconds.
"seconds" is what reading and scoring this film took; the next films are read meanwhile.
"model" names the model that looked, its weights and why it is this one; its id is empty where none was asked.
"check" says what the film looks like; what speaks against it blocks the score, unless --override is given.
"anatomy" holds the cardiothoracic ratio ("ctr") with its expected error and callipers.
"limits" not empty means that the scores do not hold for this film.
Exit status: 0 every file was ok or refused, 1 any failed, 2 wrong use.
Research use only. Not for primary diagnosis."""


def add_parser(subparsers: Subparsers) -> Callable[[argparse.Namespace], int]:
    parser = subparsers.add_parser(
        "analyse",
        help="ask the model about films and folders",
        description="Ask the model about each film. Folders are searched through.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="files, folders, ZIP archives or a DICOMDIR"
    )
    parts.add_model(parser)
    parts.add_check(parser)
    archives.add_password(parser)
    parser.add_argument(
        "--heatmaps",
        type=Path,
        metavar="DIR",
        help="write every heat map over its film as PNG, named after the film file's digest",
    )
    parser.add_argument("--json", metavar="OUT", help="write the answers as JSON to this file, or - for the terminal")
    return run


def run(arguments: argparse.Namespace) -> int:
    """Run ``analyse``. Raises CxrError when nothing could be asked at all."""
    models = parts.catalog()
    wanted = parts.wanted_model(models, arguments.model)
    if arguments.heatmaps is not None:
        _make_folder(arguments.heatmaps)
    writer = JsonWriter(arguments.json) if arguments.json else LineWriter()
    any_failed = False
    with parts.sandbox() as processes, parts.runner(models) as runner:
        wish = parts.Wish(arguments.turn, arguments.override)
        job = _Job(wanted, models.cards(), arguments.device, wish, arguments.heatmaps, processes, runner)
        found = find(arguments.paths, processes, arguments.zip_password_file)
        if not found:
            print("cxr-viewer: No images were found there.", file=sys.stderr)
        shown = progress(found, quiet=isinstance(writer, LineWriter) and sys.stdout.isatty())
        try:
            with reading_ahead(found, job.read) as films:
                for item in shown:
                    answer = job.answer(item, next(films))
                    any_failed |= answer["status"] == "failed"
                    writer.put(answer)
        finally:
            writer.close()  # also when the user stops it: what was answered stays
    return 1 if any_failed else 0


# ---------------------------------------------------------------- asking


@dataclass(frozen=True, slots=True)
class _Job:
    wanted: str
    cards: tuple[ModelCard, ...]
    device: str
    wish: parts.Wish
    heatmaps: Path | None
    processes: Sandbox
    runner: ModelRunner

    def read(self, item: Item, cancel: CancelToken) -> tuple[Radiograph, float]:
        """The film and the seconds it took; called on a thread of its own. Raises CxrError."""
        from cxr_viewer.sources.reader import SandboxReader

        if item.fault is not None:
            raise item.fault
        begun = time.perf_counter()
        films = SandboxReader(self.processes)
        image = parts.read_film(films, item.path) if item.node is None else films.read(item.node, cancel)
        return image, time.perf_counter() - begun

    def answer(self, item: Item, film: Future[tuple[Radiograph, float]]) -> Answer:
        """The answer for one file, whatever happens to it; waits for ``film``, which comes from :meth:`read`."""
        image: Radiograph | None = None
        seconds, begun = 0.0, time.perf_counter()
        try:
            image, seconds = film.result()
            begun = time.perf_counter()
            state = parts.opened(image, self.wanted, self.device, self.cards)
            pane = parts.ask(state, self.runner, self.wish).panes[0]
            answer = answer_of(item.path, pane, parts.asked_card(pane, self.cards))
            if self.heatmaps is not None:
                answer["heatmaps"] = self._write_maps(pane, self.heatmaps)
        except ExportError:
            raise  # a full disk concerns every film that follows
        except Exception as error:
            named = next((card for card in self.cards if card.model_id == self.wanted), None)
            answer = failed(item.path, failure_from(error, job="read"), named, image)
        answer["member"] = item.member
        answer["seconds"] = round(seconds + time.perf_counter() - begun, 4)
        return answer

    def _write_maps(self, pane: Pane, folder: Path) -> list[dict[str, Any]]:
        from cxr_viewer.outputs.heatmaps import compose_heatmap, heatmap_name
        from cxr_viewer.outputs.png import write_picture

        if pane.image is None or pane.result is None:
            return []
        written = []
        for heatmap in pane.result.heatmaps:
            name = heatmap_name(pane.image, heatmap)
            write_picture(compose_heatmap(pane.image, pane.display, pane.result, heatmap), folder / name)
            trust = heatmap.trust.value
            written.append({"label": heatmap.label, "method": heatmap.method, "trust": trust, "file": name})
        return written


def _make_folder(folder: Path) -> None:
    from cxr_viewer.outputs.files import check_writable, export_error

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise export_error(folder, error) from error
    check_writable(folder / "heatmap.png")
