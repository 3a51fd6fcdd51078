"""The lesson of findings: what is unknown is not learned, what is rare is drawn more often, aids are left behind."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cxr_viewer.core.errors import CxrError
from cxr_viewer.inference.networks import CamNetwork, load_network
from cxr_viewer.training.commands import add_train_parser, run_train
from cxr_viewer.training.films import FilmSet, prepared
from cxr_viewer.training.index import FilmRecord
from cxr_viewer.training.lessons.classify import (
    AIDS,
    ClassifyLesson,
    aid_values,
    build,
    label_aucs,
    score_labels,
)
from cxr_viewer.training.loop import RunOptions
from cxr_viewer.training.parts import Parts, ReadOptions
from cxr_viewer.training.recipe import LabelColumn, read_recipe
from cxr_viewer.training.run import SITES_NAME, TrainJob, learned, leave_one_site_out
from cxr_viewer.training.splits import Split
from cxr_viewer.training.teachers import read_teacher, write_answers

SMALL = ("network=cxr-tiny", "input.size_px=48", "films.size_px=64", "training.batch=8", "training.epochs=1")
QUIET = RunOptions(device="cpu", threads=1, quiet=True)


def _parts(films: FilmSet, targets: np.ndarray | None = None, masks: np.ndarray | None = None) -> Parts:
    targets = films.targets if targets is None else targets.astype(np.float32)
    whole = FilmSet(films.grey, films.areas, targets, films.records, masks)
    names = tuple(LabelColumn(f"finding {i}") for i in range(targets.shape[1]))
    return Parts(names, Split(films.records, films.records), whole, whole, None)


def _lesson(parts: Parts, *changes: str) -> ClassifyLesson:
    return build(read_recipe("classify", [*SMALL, *changes]), parts)


def _gradient(lesson: ClassifyLesson) -> tuple[torch.Tensor, CamNetwork]:
    """Of the head's weights, after the loss of all films."""
    torch.manual_seed(0)
    network = lesson.network()
    assert isinstance(network, CamNetwork)
    batch = lesson.batch(np.arange(40), np.random.default_rng(0))
    lesson.loss(network, batch).backward()
    assert network.classifier.weight.grad is not None
    return network.classifier.weight.grad, network


def test_unknown_labels_are_not_learned(few_films: FilmSet) -> None:
    both = np.column_stack([few_films.targets[:, 0], 1 - few_films.targets[:, 0]])
    assert (_gradient(_lesson(_parts(few_films, both)))[0].abs().sum(dim=1) > 0).all()
    half = both.copy()
    half[:, 1] = np.nan
    half[:2, 1] = (0, 1)  # two known films say something; without them nothing would
    some = _gradient(_lesson(_parts(few_films, half)))[0]
    half[:, 1] = np.nan
    none = _gradient(_lesson(_parts(few_films, half)))[0]
    assert float(some[1].abs().sum()) > 0
    assert float(none[1].abs().sum()) == 0
    assert float(none[0].abs().sum()) > 0


def test_rare_labels_come_more_often(few_films: FilmSet) -> None:
    rare = np.zeros((40, 2))
    rare[:3, 0] = 1
    rare[5:25, 1] = 1
    lesson = _lesson(_parts(few_films, rare), "classify.balance=labels", "classify.balance_most=6")
    counts = np.zeros(40)
    for seed in range(200):
        order = lesson.order(np.random.default_rng(seed))
        assert len(order) == 40
        counts += np.bincount(order, minlength=40)
    assert counts[:3].mean() > 4 * counts[30:].mean()
    plain = _lesson(_parts(few_films, rare), "classify.balance=none")
    assert sorted(plain.order(np.random.default_rng(0))) == list(range(40))


def test_make_is_balanced_for_one_label_only(few_films: FilmSet) -> None:
    films = few_films.only(np.arange(40) >= 8)  # twelve normal, twenty with pneumonia
    lesson = _lesson(_parts(films), "classify.balance=make")
    drawn = films.labels[lesson.order(np.random.default_rng(1))]
    assert drawn.mean() == 0.5
    two = _parts(few_films, np.column_stack([few_films.targets[:, 0]] * 2))
    with pytest.raises(CxrError, match="only for one label"):
        _lesson(two, "classify.balance=make")
    with pytest.raises(CxrError, match="none, labels or make"):
        _lesson(two, "classify.balance=some")


def test_the_same_chance_gives_the_same_batch(few_films: FilmSet) -> None:
    lesson = _lesson(_parts(few_films), "classify.mixup=0.4")
    one, two = (lesson.batch(np.arange(0, 40, 5), np.random.default_rng(3)) for _ in range(2))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert one["film"].shape == (8, 1, 48, 48)
    assert set(one["target"].flatten().tolist()) - {0.0, 1.0}  # mixed


def test_aids_help_and_are_no_part_of_the_classifier(few_films: FilmSet) -> None:
    masks = np.zeros_like(few_films.grey)
    masks[:, 50:150, 30:90] = 1
    masks[3] = 255
    rows = [
        FilmRecord(r.path, r.targets, r.patient, row={"ratio": str(i) if i else ""})
        for i, r in enumerate(few_films.records)
    ]
    films = FilmSet(few_films.grey, few_films.areas, few_films.targets, tuple(rows))
    changes = ("classify.mask_weight=0.5", "classify.aid_weight=0.3", 'classify.aid_columns=["ratio", "ratio=7"]')
    lesson = _lesson(_parts(films, masks=masks), *changes)
    _, network = _gradient(lesson)
    aids = {name: value for name, value in network.named_parameters() if name.startswith(AIDS)}
    assert len(aids) == 4
    assert all(value.grad is not None and bool((value.grad != 0).any()) for value in aids.values())
    state = {name: value for name, value in network.state_dict().items() if not name.startswith(AIDS)}
    load_network("cxr-tiny", 1, state)
    with pytest.raises(CxrError, match="no training film has one"):
        _lesson(_parts(films), *changes)


def test_further_columns_are_scaled_and_faults_named(few_films: FilmSet) -> None:
    texts = ["10", "", "20", "30"]
    records = tuple(FilmRecord(Path("x"), (1.0,), "p", row={"age": text}, place=f"line {text}") for text in texts)
    films = FilmSet(few_films.grey[:4], few_films.areas[:4], few_films.targets[:4], records)
    values = aid_values(films, ("age", "age=10"))
    assert np.isnan(values[1]).all()
    assert np.nanmean(values, axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert np.nanstd(values, axis=0) == pytest.approx([1, 1], abs=1e-5)
    assert values[0, 1] > values[2, 1]
    with pytest.raises(CxrError, match="“none” says nothing"):
        aid_values(films, ("none",))
    records = (*records[:3], FilmRecord(Path("x"), (1.0,), "p", row={"age": "old"}, place="line 5"))
    with pytest.raises(CxrError, match="line 5: “old” in the column “age” is no number"):
        aid_values(FilmSet(films.grey, films.areas, films.targets, records), ("age",))


def test_a_teacher_is_read_by_file_name(few_films: FilmSet, tmp_path: Path) -> None:
    path = tmp_path / "soft.csv"
    names = few_films.names
    path.write_text(f"file,finding 0\n{names[2]},0.75\n{names[3]},\n", encoding="utf-8")
    soft = read_teacher(path, few_films, ("finding 0",))
    assert soft[2, 0] == 0.75
    assert np.isnan(soft[[0, 1, 3], 0]).all()
    lesson = _lesson(_parts(few_films), f"classify.teacher={path}", "classify.teacher_weight=1.0")
    torch.manual_seed(0)
    network = lesson.network().eval()
    with torch.inference_mode():
        loss = float(lesson.loss(network, lesson.batch(np.array([0, 1]), np.random.default_rng(0))))
    assert loss == 0  # the teacher says nothing of these two, and only the teacher is listened to
    for text, words in (
        ("file\nx\n", "lack the column finding 0"),
        ("file,finding 0\nx,0.5\n", "name no training film"),
        (f"file,finding 0\n{names[2]},0.5\n{names[2]},0.9\n", f"name “{names[2]}” more than once"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(CxrError, match=words):
            read_teacher(path, few_films, ("finding 0",))


def test_films_of_one_name_in_two_folders_do_not_get_each_others_answers(few_films: FilmSet) -> None:
    first, second, *rest = few_films.records
    again = replace(second, path=Path("other") / first.path.name)
    films = FilmSet(few_films.grey, few_films.areas, few_films.targets, (first, again, *rest))
    for change in ("classify.answers=true", "classify.teacher=none.csv"):
        with pytest.raises(
            CxrError, match=f"two films are called “{first.path.name}”: {first.place} and {again.place}"
        ):
            _lesson(_parts(films), change)


def test_what_one_network_says_is_what_the_next_is_told(few_films: FilmSet, tmp_path: Path) -> None:
    logits = np.linspace(-4, 4, len(few_films)).reshape(-1, 1)
    write_answers(tmp_path / "answers.csv", few_films, ("finding 0",), logits)
    told = read_teacher(tmp_path / "answers.csv", few_films, ("finding 0",))
    assert told == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-4)


def test_auc_is_taken_where_the_label_is_known() -> None:
    targets = np.array([[0, np.nan], [1, np.nan], [0, 1], [1, 1]], dtype=np.float32)
    areas = label_aucs(targets, np.array([[0.1, 0], [0.2, 0], [0.3, 0], [0.4, 0]]))
    assert areas[0] == 0.75
    assert np.isnan(areas[1])


# ---------------------------------------------------------------- from an index to weights


def _index(records: Sequence[FilmRecord], folder: Path, sites: int = 1) -> Path:
    """Forty films of forty patients, with a column per label and a site."""
    rows = []
    for label in (0, 1):
        films = [r for r in records if r.split == "train" and r.targets[0] == label]
        own = list({r.patient: r for r in films}.values())[:400:20]
        rows += [(r.path, r.patient, f"Site {i % sites}", label, 1 - label) for i, r in enumerate(own)]
    path = folder / "own_index.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("path", "patient", "site", "Pneumonia", "Clear"), *rows])
    return path


def test_from_an_index_to_weights_that_score(records: list[FilmRecord], tmp_path: Path) -> None:
    recipe = read_recipe("classify", [*SMALL, "split.validation_share=0.4"])
    job = TrainJob(
        recipe, (_index(records, tmp_path),), tmp_path / "out", reading=ReadOptions(quiet=True), options=QUIET
    )
    trained = learned(job)
    assert trained.parts.names == ("Pneumonia", "Clear")
    network = load_network("cxr-tiny", 2, load_file(trained.weights))
    logits = score_labels(network, prepared(trained.parts.validation, recipe.input))
    assert logits.shape == (len(trained.parts.validation), 2)
    assert trained.lesson.judge(network).score == pytest.approx(
        np.mean(label_aucs(trained.parts.validation.targets, logits)), abs=1e-6
    )
    again = learned(job)  # nothing left to do
    assert again.weights.read_bytes() == trained.weights.read_bytes()
    other = TrainJob(read_recipe("classify", [*SMALL, "split.validation_share=0.3"]), job.data, job.out, options=QUIET)
    with pytest.raises(CxrError, match="other settings") as fault:
        learned(other)
    assert "split.validation_share was 0.4, now 0.3" in fault.value.summary


def test_one_site_after_the_other_is_left_out(
    records: list[FilmRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = read_recipe("classify", [*SMALL, "split.validation_share=0.4", 'labels=["Pneumonia"]'])
    job = TrainJob(recipe, (_index(records, tmp_path, sites=2),), tmp_path / "out", options=QUIET)
    rows = leave_one_site_out(job)
    assert [row["site"] for row in rows] == ["Site 0", "Site 1", "mean of the sites"]
    assert [row["films"] for row in rows] == ["20", "20", "40"]
    values = [float(row["Pneumonia"]) for row in rows]
    assert values[2] == pytest.approx((values[0] + values[1]) / 2, abs=1e-4)
    with (tmp_path / "out" / SITES_NAME).open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == rows
    assert "Site 2 of 2 left out: Site 1" in capsys.readouterr().out
    alone = TrainJob(recipe, (_index(records, tmp_path),), tmp_path / "alone", options=QUIET)
    with pytest.raises(CxrError, match="only one site"):
        leave_one_site_out(alone)


def test_wrong_use_is_told_before_the_work(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_train_parser(parser.add_subparsers())
    line = ["train", "--recipe", "classify", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    with pytest.raises(CxrError, match="--threads has to be at least 1"):
        run_train(parser.parse_args([*line, "--threads", "0"]))
    with pytest.raises(CxrError, match="No labelled films"):
        run_train(parser.parse_args(line))
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(CxrError, match="could not be read or written"):
        run_train(parser.parse_args([*line[:-1], str(tmp_path / "file")]))


def test_each_member_of_a_committee_is_held_to_the_truth(few_films: FilmSet) -> None:
    """Weights that cancel in the mean still cost: else members would lean on one another."""
    lesson = _lesson(_parts(few_films), "network=cxr-committee")
    torch.manual_seed(0)
    network = lesson.network()
    assert isinstance(network, CamNetwork)
    batch = lesson.batch(np.arange(16), np.random.default_rng(0))
    with torch.no_grad():
        before = lesson.loss(network, batch)
        half = network.classifier.in_features // 2
        network.classifier.weight[:, :half] += 5.0
        network.classifier.weight[:, half:] -= 5.0
        assert lesson.loss(network, batch) > before + 0.5


def test_the_network_may_stand_by_what_it_says(few_films: FilmSet) -> None:
    """With half of each label its own answer, a wrong label pulls half as hard."""
    parts = _parts(few_films)
    plain, network = _gradient(_lesson(parts))
    half, _ = _gradient(_lesson(parts, "classify.own_weight=0.5"))
    assert network.members == 1
    torch.testing.assert_close(half, 0.5 * plain, rtol=1e-3, atol=1e-6)
