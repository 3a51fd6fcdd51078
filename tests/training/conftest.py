"""Real films of children for the training code, and one torch thread: two wait for each other on a busy machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from cxr_viewer.core.findings import ScoreKind
from cxr_viewer.inference.calibrate import sigmoid
from cxr_viewer.training.asking import Answers
from cxr_viewer.training.films import FilmSet, load_films
from cxr_viewer.training.index import FilmRecord, read_index
from cxr_viewer.training.recipe import read_recipe


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def paediatric(need_data: Callable[[str], Path]) -> Path:
    """The folder of paediatric films."""
    need_data("images/paediatric192_index.csv")
    return need_data("images/paediatric192")


@pytest.fixture(scope="session")
def records(paediatric: Path) -> list[FilmRecord]:
    """All 5,840 films of the set; their one target is pneumonia."""
    return list(read_index(read_recipe("paediatric-pneumonia"), [paediatric]).records)


@pytest.fixture(scope="session")
def few_films(records: list[FilmRecord]) -> FilmSet:
    """Forty whole training films at 192 px, half of them with pneumonia."""
    train = [record for record in records if record.split == "train"]
    chosen = [record for label in (0, 1) for record in [r for r in train if r.targets[0] == label][:400:20]]
    return load_films(chosen, read_recipe("classify"), "few", quiet=True)


@pytest.fixture(scope="session")
def made_answers() -> Callable[..., Answers]:
    """``made_answers(films, temperature=1.0, bias=0.0, labels=("A",), kind=...)``: two films a patient, scores from
    logits that are right before they are stretched by ``temperature`` and moved by ``bias``."""

    def make(
        films: int = 400,
        *,
        temperature: float = 1.0,
        bias: float = 0.0,
        labels: tuple[str, ...] = ("Effusion",),
        kind: ScoreKind = ScoreKind.CALIBRATED,
        seed: int = 1,
    ) -> Answers:
        chance = np.random.default_rng(seed)
        right = chance.normal(-0.5, 2.0, (films, len(labels)))
        truth = (chance.random(right.shape) < sigmoid(right)).astype(np.float64)
        logits = right * temperature + bias
        records = tuple(
            FilmRecord(
                path=Path(f"secret-{i}.png"),
                targets=tuple(truth[i]),
                patient=f"patient-{i // 2}",
                site="one" if i % 4 < 2 else "two",
                split="test",
                age=float(20 + i % 60),
                sex="F" if i % 3 else "M",
                view="PA" if i % 2 else "AP",
                place=f"site.csv, line {i + 2}",
            )
            for i in range(films)
        )
        return Answers(
            labels=labels,
            records=records,
            truth=truth,
            scores=sigmoid(logits),
            logits=logits,
            thresholds=(0.5,) * len(labels),
            kinds=(kind,) * len(labels),
            blocked=((),) * films,
            refused=(),
            unreadable=(),
            device="nowhere",
        )

    return make
