"""Real films of children for the training code, and one torch thread: two wait for each other on a busy machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

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
