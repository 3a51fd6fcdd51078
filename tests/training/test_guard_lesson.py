"""The guard's lesson on real films, and the bundle that is made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cxr_viewer.core.modelcard import Task
from cxr_viewer.inference.cards import read_card
from cxr_viewer.inference.guard import GROUPS, LABELS, SUPPORTED, look
from cxr_viewer.inference.networks import load_network
from cxr_viewer.training.films import FilmSet, load_films
from cxr_viewer.training.finish import Trained
from cxr_viewer.training.guard_bundle import finish_guard
from cxr_viewer.training.guard_figures import Thresholds, choose
from cxr_viewer.training.index import read_index
from cxr_viewer.training.lessons import kind_of
from cxr_viewer.training.lessons.guard import GuardConfig, GuardLesson, frontal_margin, grouped
from cxr_viewer.training.parts import Parts
from cxr_viewer.training.recipe import Recipe, read_recipe
from cxr_viewer.training.splits import Split

SMALL = (
    "network=cxr-tiny",
    "input.size_px=32",
    "films.size_px=48",
    "guard.validation_films=6",
    "guard.frontal=20",
    "guard.lateral=6",
    "guard.spoiled=6",
    "guard.drawn=6",
)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe("guard", SMALL)


@pytest.fixture(scope="module")
def films(recipe: Recipe, need_data: Callable[[str], Path]) -> FilmSet:
    """Twenty films of adults and ten of children."""
    need_data("images/nih384_index.csv")
    need_data("images/paediatric192_index.csv")
    records = read_index(recipe, [need_data("images/nih384"), need_data("images/paediatric192")]).records
    adults = [one for one in records if one.site == "nih384" and one.split == "train"][:400:20]
    children = [one for one in records if one.site != "nih384" and one.split == "train"][:400:40]
    return load_films([*adults, *children], recipe, "few", quiet=True)


@pytest.fixture
def lesson(recipe: Recipe, films: FilmSet) -> GuardLesson:
    made = kind_of(recipe).build(recipe, Parts(recipe.labels, Split((), ()), films, films, None))
    assert isinstance(made, GuardLesson)
    return made


def test_an_epoch_holds_as_many_of_each_source_as_asked_for(lesson: GuardLesson, films: FilmSet) -> None:
    order = lesson.order(np.random.default_rng(0))
    assert np.bincount(order // len(films)).tolist() == [20, 6, 6, 6]
    assert not np.array_equal(order, lesson.order(np.random.default_rng(1)))
    drawn = np.concatenate([lesson.order(np.random.default_rng(seed)) for seed in range(60)]) % len(films)
    children = np.isin(drawn, [i for i, one in enumerate(films.records) if one.site != "nih384"])
    assert 0.4 < children.mean() < 0.6  # one site as often as the other, though its films are half as many


def test_what_was_done_to_a_film_is_what_is_to_be_told(recipe: Recipe, films: FilmSet) -> None:
    still = {"rotation_deg", "edge_in", "edge_out", "shear", "mirror_share", "opaque_share", "log_gamma", "contrast"}
    still |= {"brightness", "equal_share", "detail_share", "blur_share", "coarse_share", "noise_share", "shading_share"}
    still |= {"marks", "shield_share", "frame_share", "stretch_share"}
    quiet = replace(recipe, tables=dict(recipe.tables) | {"vary": dict.fromkeys(still, 0.0)})
    lesson = kind_of(quiet).build(quiet, Parts(recipe.labels, Split((), ()), films, films, None))
    chance = np.random.default_rng(0)
    for number in range(8):
        batch = lesson.batch(np.full(12, number, dtype=np.int64), chance)
        assert set(batch["kind"].tolist()) == {0}
        shown = batch["film"].numpy()[:, 0] * 0.25 + 0.5
        back = [
            np.rot90(1 - film if inverted else film, turns)
            for film, turns, inverted in zip(shown, batch["turn"].tolist(), batch["polarity"].tolist(), strict=True)
        ]
        assert all(np.allclose(one, back[0], atol=1e-5) for one in back)
        assert len(set(batch["turn"].tolist())) > 1
        stated = films.records[number].view
        assert set(batch["view"].tolist()) == {{"PA": 0, "AP": 1}[stated]}


def test_other_images_have_a_kind_and_no_turn(lesson: GuardLesson, films: FilmSet) -> None:
    chance = np.random.default_rng(0)
    for source, kind in ((1, 1), (2, 2), (3, 2)):
        batch = lesson.batch(np.arange(6) + source * len(films), chance)
        assert set(batch["kind"].tolist()) == {kind}
        assert set(batch["turn"].tolist()) == set(batch["view"].tolist()) == {-1}
        assert (set(batch["polarity"].tolist()) == {-1}) == (source > 1)


def test_films_without_a_view_teach_no_view(lesson: GuardLesson, films: FilmSet) -> None:
    child = next(i for i, one in enumerate(films.records) if one.site != "nih384")
    assert lesson.batch(np.array([child]), np.random.default_rng(0))["view"].tolist() == [-1]


def test_a_few_steps_make_the_loss_smaller(lesson: GuardLesson) -> None:
    torch.manual_seed(0)
    network = lesson.network().train()
    batch = lesson.batch(lesson.order(np.random.default_rng(0)), np.random.default_rng(0))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        loss = lesson.loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    judgement = lesson.judge(network.eval())
    assert 0 <= judgement.score <= 1
    assert set(judgement.figures) == {"lateral refused", "other refused", "turn", "polarity", "view"}


def test_nothing_to_learn_of_a_group_is_no_loss(lesson: GuardLesson, films: FilmSet) -> None:
    batch = lesson.batch(np.arange(4) + 3 * len(films), np.random.default_rng(0))
    loss = lesson.loss(lesson.network(), batch)
    assert torch.isfinite(loss)


def test_groups_follow_the_labels() -> None:
    row = torch.arange(len(LABELS), dtype=torch.float32)[None]
    parts = grouped(row)
    assert [len(part[0]) for part in parts.values()] == [len(names) for names in GROUPS.values()]
    assert parts["view"][0].tolist() == [len(LABELS) - 2, len(LABELS) - 1]
    sure = frontal_margin(np.log(np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1]], dtype=np.float32)))
    assert sure == pytest.approx([np.log(9), np.log(1 / 9)], abs=1e-5)


def test_thresholds_let_the_asked_share_of_every_site_pass(films: FilmSet) -> None:
    count = len(films)
    plain = {label: np.full(count, 0.01) for label in LABELS}
    plain["kind/frontal"] = np.linspace(0.5, 1.0, count)
    views = np.array([{"PA": 0, "AP": 1}.get(one.view, -1) for one in films.records])
    plain["view/AP"] = np.where(views == 1, 0.9, 0.2)
    plain["view/PA"] = 1 - plain["view/AP"]
    limits = choose(films, plain, GuardConfig(pass_share=0.9, pass_share_supported=1.0))
    sites = np.array([one.site for one in films.records])
    shares = [(plain["kind/frontal"][sites == site] >= limits.frontal).mean() for site in set(sites)]
    assert min(shares) == pytest.approx(0.9)
    assert limits.supported == pytest.approx(0.5)
    assert 0.9 < limits.ap < 1  # surer than the least sure AP film
    assert (limits.turned, limits.inverted) == (0.9, 0.9)
    assert limits.of("turn/0") == 0.5
    assert limits.of("turn/180") == limits.turned


def test_a_run_becomes_a_bundle_that_checks_films(
    tmp_path: Path, recipe: Recipe, films: FilmSet, lesson: GuardLesson
) -> None:
    torch.manual_seed(0)
    network = lesson.network()
    weights = tmp_path / "best.safetensors"
    save_file(network.state_dict(), weights)
    parts = Parts(recipe.labels, Split((), ()), films, films, films)
    folder = finish_guard(Trained(recipe, parts, lesson, weights, tmp_path, command="cxr-viewer train --recipe guard"))
    card = read_card(folder)
    assert (card.task, card.serves, card.model_id) == (Task.GUARD, "guard", "guard")
    points = {one.name: one for one in card.labels[0].points}
    assert card.labels[0].threshold == points["alone"].threshold >= points[SUPPORTED].threshold
    assert points["alone"].sensitivity >= 0.9
    sites = {one.group for one in card.metrics if one.data == "test films"}
    assert sites == {"nih384", "paediatric192"}
    assert all(one.low is None or one.low <= one.value <= (one.high or 1) for one in card.metrics)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "cxr-viewer train --recipe guard" in text
    assert all(caution in text for caution in card.cautions)
    loaded = load_network(card.network, len(card.labels), network.state_dict())
    with torch.inference_mode():
        seen = look(card, loaded(torch.zeros(1, 1, 32, 32))[0].numpy())
    assert set(seen.chances) == set(LABELS)


def test_thresholds_name_what_they_are_for() -> None:
    limits = Thresholds(0.9, 0.4, 0.95, 0.96, 0.97, 0.98)
    assert [limits.of(label) for label in LABELS] == [0.9, 0.6, 0.5, 0.5, 0.95, 0.95, 0.95, 0.5, 0.96, 0.97, 0.98]
