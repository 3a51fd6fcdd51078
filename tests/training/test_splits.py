"""Who is learned from and who is tested on; a leak stops the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_viewer.core.errors import CxrError
from cxr_viewer.training.index import FilmRecord, read_index
from cxr_viewer.training.recipe import SplitConfig, read_recipe
from cxr_viewer.training.splits import (
    Split,
    check_duplicates,
    check_labels,
    check_leakage,
    describe,
    split_records,
    without_site,
)

LEAVE_OUT = SplitConfig(shared="leave-out")


@pytest.fixture(scope="module")
def children(paediatric: Path) -> Sequence[FilmRecord]:
    return read_index(read_recipe("paediatric-pneumonia"), [paediatric]).records


def _film(patient: str, target: float, split: str = "", path: Path = Path("x.png"), site: str = "") -> FilmRecord:
    return FilmRecord(path, (target,), patient, site=site, split=split, place=f"line of {patient}")


def _patients(split: Split) -> dict[str, list[str]]:
    parts = {"training": split.train, "validation": split.validation, "testing": split.test}
    return {name: [record.patient for record in part] for name, part in parts.items()}


def test_a_patient_on_both_sides_is_refused_by_name() -> None:
    with pytest.raises(CxrError) as fault:
        check_leakage({"training": ["person1", "person7"], "validation": ["person9"], "testing": ["person7"]})
    assert "1 patient is in both training and testing: person7" in fault.value.summary
    check_leakage({"training": ["person1"], "testing": ["person2"]})


def test_the_published_split_shares_patients_and_is_refused(children: Sequence[FilmRecord]) -> None:
    with pytest.raises(CxrError, match="170 patients are in both training and testing"):
        split_records(children, SplitConfig())


def test_left_out_they_leak_no_more_and_the_test_films_stay(children: Sequence[FilmRecord]) -> None:
    split = split_records(children, LEAVE_OUT)
    check_leakage(_patients(split))
    assert (len(split.test), sum(r.targets[0] for r in split.test)) == (624, 390)
    assert len(split.train) + len(split.validation) + len(split.left_out) == 5216
    assert {r.patient for r in split.left_out} <= {r.patient for r in split.test}
    shares = [sum(r.targets[0] for r in part) / len(part) for part in (split.train, split.validation)]
    assert shares[0] == pytest.approx(shares[1], abs=0.02)
    assert len(split.validation) == pytest.approx(0.15 * len(split.train + split.validation), rel=0.05)
    assert split_records(children, LEAVE_OUT) == split
    assert split_records(children, SplitConfig(shared="leave-out", seed=2)).validation != split.validation


def test_kept_they_are_never_in_validation(children: Sequence[FilmRecord]) -> None:
    split = split_records(children, SplitConfig(shared="keep"))
    assert len(split.train) + len(split.validation) == 5216
    assert not split.left_out
    parts = _patients(split)
    check_leakage({"validation": parts["validation"], "others": parts["training"] + parts["testing"]})


def test_parts_of_the_index_are_taken_as_they_are() -> None:
    kinds = (("a", "train"), ("b", "train"), ("c", "validation"), ("d", "validation"), ("e", "test"), ("f", "test"))
    films = [_film(patient, i % 2, split) for i, (patient, split) in enumerate(kinds)]
    parts = _patients(split_records(films, SplitConfig()))
    assert parts == {"training": ["a", "b"], "validation": ["c", "d"], "testing": ["e", "f"]}
    with pytest.raises(CxrError, match=r"in both training and validation: a \(line of a and line of a\)"):
        split_records([*films, _film("a", 0, "validation")], SplitConfig())


def test_a_rare_label_has_its_share_everywhere() -> None:
    films = [_film(f"p{i // 2}", float(i % 40 < 2)) for i in range(800)]
    split = split_records(films, SplitConfig(validation_share=0.2, test_share=0.1))
    check_leakage(_patients(split))
    assert [sum(r.targets[0] for r in part) for part in (split.train, split.validation, split.test)] == [28, 8, 4]
    assert len(split.test) == pytest.approx(80, abs=2)
    assert len(split.validation) == pytest.approx(144, abs=2)


def test_test_films_are_drawn_beside_validation_films_that_are_given() -> None:
    films = [_film(f"p{i}", i % 2, "validation" if i % 4 == 0 else "") for i in range(200)]
    films += [_film("p0", 1)]
    with pytest.raises(CxrError, match="in both training and validation: p0"):
        split_records(films, SplitConfig())
    split = split_records(films[:-1], SplitConfig())
    assert len(split.validation) == 50
    assert len(split.test) == pytest.approx(22, abs=1)


def test_one_site_is_for_testing_only() -> None:
    films = [_film(f"{site}{i}", i % 2, site=site) for site in ("North", "South", "West") for i in range(20)]
    films.append(_film("old", 1, "test", site="South"))
    split = split_records(without_site(films, "North"), SplitConfig())
    assert {record.site for record in split.test} == {"North"}
    assert {record.site for record in (*split.train, *split.validation)} == {"South", "West"}
    assert all("old" not in patients for patients in _patients(split).values())
    with pytest.raises(CxrError, match="“East” cannot be left out") as fault:
        without_site(films, "East")
    assert "North, South, West" in fault.value.hint
    told = describe(split, ["Edema"])
    assert "Test: 20 films of 20 patients (Edema 10)" in told


def test_the_same_bytes_on_two_sides_are_named(tmp_path: Path) -> None:
    for name, text in (("a", "film"), ("b", "Film"), ("c", "film"), ("d", "other film")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    film = {name: _film(name, 1, path=tmp_path / name) for name in "abcd"}
    check_duplicates(Split((film["a"], film["c"]), (film["b"],), (film["d"],)))
    with pytest.raises(CxrError, match=r"line of a \(training\) and line of c \(testing\)"):
        check_duplicates(Split((film["a"],), (film["b"],), (film["c"],)))


def test_a_film_with_two_lines_is_named_by_both() -> None:
    one = _film("a", 1, path=Path("a.png"))
    twin = replace(one, place="another line", targets=(0.0,))
    with pytest.raises(CxrError, match="One film is listed more than once: line of a and another line"):
        check_duplicates(Split((one, twin), (_film("b", 0, path=Path("b.png")),)))


def test_no_film_is_twice_in_the_sets_at_hand(children: Sequence[FilmRecord]) -> None:
    check_duplicates(split_records(children, LEAVE_OUT))


@pytest.mark.parametrize(
    ("train", "validation", "words"),
    [
        ([1, 1], [0, 1], "no film without “Edema” for training"),
        ([0, 1], [0, 0], "no film with “Edema” for validation"),
        ([0, 1], [], "no films for validation"),
    ],
)
def test_a_label_of_one_kind_is_no_lesson(train: list[int], validation: list[int], words: str) -> None:
    parts = [
        tuple(_film(f"{side}{i}", kind) for i, kind in enumerate(kinds))
        for side, kinds in (("t", train), ("v", validation))
    ]
    with pytest.raises(CxrError, match=words):
        check_labels(Split(parts[0], parts[1]), ["Edema"])
