"""Which engine runs a model on this computer: measured once, remembered beside the files it was measured with."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.engines import CANDIDATES, F32, Engine, Floats

BUDGET_S = 2.0
"""The most that measuring takes, all candidates together; at least one round is finished."""

CLEARLY = 0.9
"""An engine takes the place of OpenVINO in float32, the nearest to the reference, only below this share of its time."""

_ROUNDS = 25
_NAME = "choice.json"

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine that runs a model.

    Attributes:
        engine: one of :data:`~cxr_viewer.inference.engines.CANDIDATES`.
        medians_s: seconds of one pass, median, by engine; for the log and the reader, nothing depends on it.
        refused: engines that were not measured, with the reason.
    """

    engine: str
    medians_s: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def measure(
    engines: Mapping[str, Engine], film: Floats, cancel: CancelToken, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """Median seconds of one pass on each engine.

    The engines take turns, so that what else the machine does slows all of them alike. Each is expected to have run
    before: the first pass of an engine allocates.

    Raises:
        ModelError: an engine failed.
        CancelledError: ``cancel`` was set; it is asked between passes.
    """
    taken: dict[str, list[float]] = {name: [] for name in engines}
    begun = clock()
    names = list(engines)
    for turn in range(_ROUNDS):
        first = turn % max(
            1, len(names)
        )  # a busy system interrupts in step with the rounds: each has its turn to suffer
        for name in names[first:] + names[:first]:
            cancel.raise_if_cancelled()
            start = clock()
            engines[name].run(film)
            taken[name].append(clock() - start)
        if clock() - begun >= BUDGET_S * _share_of_rounds(taken):
            break
    return {name: median(times) for name, times in taken.items()}


def _share_of_rounds(taken: Mapping[str, list[float]]) -> float:
    """So much of the budget may be used up if one more round shall fit into it."""
    rounds = len(next(iter(taken.values()), []))
    return rounds / (rounds + 1)


def fastest(medians_s: Mapping[str, float]) -> str:
    """The engine with the shortest pass; OpenVINO in float32 unless another is clearly faster."""
    best = min(medians_s, key=lambda name: medians_s[name])
    if F32 in medians_s and medians_s[best] > CLEARLY * medians_s[F32]:
        return F32
    return best


def remember(folder: Path, choice: Choice) -> None:
    """Keep a choice in the folder of the files it was made with. Raises OSError: it cannot be written."""
    text = json.dumps(asdict(choice), sort_keys=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{_NAME}-", dir=folder)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"choice": text, "sha256": _digest(folder, text)}, file)
        Path(name).replace(folder / _NAME)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def remembered(folder: Path) -> Choice | None:
    """The choice kept in a folder; None where there is none, it is torn, or it was made for another folder."""
    try:
        kept = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        text = kept["choice"]
        if kept["sha256"] != _digest(folder, text):
            return None
        choice = Choice(**json.loads(text))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return choice if choice.engine in CANDIDATES else None


def forget(folder: Path) -> None:
    """Measure again at the next moment of rest."""
    (folder / _NAME).unlink(missing_ok=True)


def _digest(folder: Path, text: str) -> str:
    return hashlib.sha256(f"{folder.name}\n{text}".encode()).hexdigest()
