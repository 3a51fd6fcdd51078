"""Real films of children for the training code, and one torch thread: two wait for each other on a busy machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from cxr_viewer.training.data import FilmRecord, FilmSet, load_films, read_records


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
    """All 5,840 films of the set."""
    return read_records(paediatric)


@pytest.fixture(scope="session")
def few_films(records: list[FilmRecord]) -> FilmSet:
    """Forty training films, half of them with pneumonia."""
    train = [record for record in records if record.split == "train"]
    chosen = [record for label in (0, 1) for record in [r for r in train if r.label == label][:400:20]]
    return load_films(chosen, "few", quiet=True)
