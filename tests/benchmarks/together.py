"""What one film costs with all models together: film check, anatomy, findings and their maps.

    python tests/benchmarks/together.py [--repeats 15] [--model ID]

For each film: the whole way of ``LocalRunner.analyse`` with nothing kept, as the panel shows it, and in turns with it
the same networks alone on inputs that lie ready; the difference is preparing the film, measuring and telling. Wall and
processor time (all threads), medians in milliseconds, against the goal of 150. Then the memory that the models take.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

import cv2
import numpy as np

from cxr_viewer.core.findings import AnalysisRequest, ModelCard
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.beside import ANATOMY, GUARD, serving
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.preprocess import FilmGreys, see
from cxr_viewer.inference.runner import LocalRunner
from cxr_viewer.services.choice import choose_model
from cxr_viewer.services.state import AUTO
from cxr_viewer.sources.reader import SandboxReader

FILMS = REPOSITORY.parent / "shared" / "data" / "dicom"
NAMES = (
    "dx_nih_00002527_nodule_f37.dcm",
    "cr_barre_fuji_pa_mono1_10bit.dcm",
    "dx_canon_pa_mono1_12bit_j2klossless.dcm",
)
GOAL_MS = 150.0
LARGE_PX = (3000, 3000)

Times = tuple[float, float]


def timed(work: Callable[[], object]) -> Times:
    """Wall and processor milliseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def medians(times: list[Times]) -> str:
    walls, cpus = zip(*times, strict=True)
    return f"{statistics.median(walls):7.1f} ({statistics.median(cpus):6.1f})"


def alone(runner: LocalRunner, catalog: BundleCatalog, cards: list[ModelCard], film: Radiograph) -> Callable[[], None]:
    """The networks on inputs that lie ready. A crop to the lungs is taken as the whole film: the same arithmetic."""
    ready = []
    for card in cards:
        engine = runner._engines.prepared(
            card, catalog.folder(card.model_id), "cpu", CancelToken(), lambda stage: None
        ).engine
        spec = replace(card.input, crop="", margin=0.0)
        ready.append((engine, see(film, spec).film[None]))

    def work() -> None:
        for engine, given in ready:
            engine.run(given)

    return work


def preparing(film: Radiograph, cards: list[ModelCard], *, shared: bool) -> Callable[[], None]:
    """The inputs of all networks from the stored pixels, with the greys of the film worked out once or each time."""

    def work() -> None:
        greys = FilmGreys(film)
        for card in cards:
            see(film, replace(card.input, crop="", margin=0.0), None, greys if shared else None)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--model", default=AUTO)
    parser.add_argument(
        "--models",
        type=lambda text: Path(text).resolve(),
        action="append",
        help="a folder of bundles in place of the program's own",
    )
    parser.add_argument("--cache", type=Path, help="a folder with graphs that were made before")
    arguments = parser.parse_args()
    catalog = BundleCatalog(arguments.models or None)
    reader = SandboxReader()
    films = [reader.read(reader.describe(FILMS / name, CancelToken()).image, CancelToken()) for name in NAMES]
    reader.close()
    large = cv2.resize(np.asarray(films[-1].stored), LARGE_PX, interpolation=cv2.INTER_CUBIC)
    films.append(replace(films[-1], stored=large))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as cache:
        runner = LocalRunner(catalog, arguments.cache or Path(cache))
        print("milliseconds of wall (processor), medians; goal", GOAL_MS)
        print("film                all together      networks alone    preparing         each for itself   models")
        for film in films:
            choice = choose_model(catalog.cards(), arguments.model, film)
            if choice is None:
                raise SystemExit("no model gives findings")
            beside = [card for card in (serving(catalog, GUARD), serving(catalog, ANATOMY)) if card is not None]
            cards = [*beside, catalog.card(choice.model_id)]
            bare = replace(film, source_sha256="")  # nothing is kept of a film without a digest
            request = AnalysisRequest(0, 1, bare, choice.model_id, device="cpu", override=True)
            runs: dict[str, Callable[[], object]] = {
                "all": lambda request=request: runner.analyse(request, CancelToken(), lambda stage: None),  # type: ignore[misc]
                "networks": alone(runner, catalog, cards, bare),
                "preparing": preparing(bare, cards, shared=True),
                "each": preparing(bare, cards, shared=False),
            }
            times: dict[str, list[Times]] = {name: [] for name in runs}
            for turn in range(arguments.repeats + 1):
                for name, work in runs.items():
                    found = timed(work)
                    if turn:  # the first warms caches
                        times[name].append(found)
            size = f"{film.columns} x {film.rows}"
            row = "  ".join(medians(found) for found in times.values())
            print(f"{size:<18}{row}  {', '.join(card.model_id for card in cards)}")
        runner.close()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"memory at its highest: {after / 1024:.0f} MiB, {(after - before) / 1024:.0f} more than before the models")


if __name__ == "__main__":
    main()
