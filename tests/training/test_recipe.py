"""Recipes are read whole or refused by the name of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.training.lessons import kind_of
from cxr_viewer.training.recipe import read_recipe

SHIPPED = sorted(path.stem for path in (resources_dir() / "recipes").glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_recipe_of_the_program_is_understood(name: str) -> None:
    recipe = read_recipe(name)
    kind_of(recipe)
    assert recipe.card.intended_use.startswith("Research use only")
    assert recipe.film_px >= recipe.input.size_px


def test_a_setting_can_be_changed_and_is_part_of_what_runs_are_compared_by() -> None:
    changes = ["training.epochs=3", "network=cxr-tiny", "augment.frame=[0.1, 0.2]", 'labels=["Edema"]']
    recipe = read_recipe("classify", changes)
    assert (recipe.training.epochs, recipe.network, recipe.labels[0].name) == (3, "cxr-tiny", "Edema")
    plain, changed = read_recipe("classify").settings(), recipe.settings()
    assert changed["training.epochs"] == 3
    other = {name for name in changed if changed[name] != plain.get(name)}
    assert {"training.epochs", "network", "augment.frame"} < other
    assert not any(name.startswith("card.") for name in changed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("training.epoch=3", "unknown key “training.epoch”"),
        ("classify.smoothing=0.1", "unknown key “classify.smoothing”"),
        ("segment.x=1", "unknown key “segment”"),
        ("augment.frame=[0.1]", "“augment.frame” .* a list of 2"),
        ("training.epochs=many", "“training.epochs” .* a whole number, not “many”"),
        ("training.epochs=0", "“training.epochs” .* at least 1"),
        ("training.half=1", "“training.half” .* true or false"),
        ("split.shared=perhaps", "stop, leave-out or keep"),
        ("input.denoise=magic", "one of median, non-local-means, or empty"),
        ("input.denoise_strength=0", "between 0.5 and 50"),
        ('labels=["A", "A"]', "names a label twice"),
        ("lesson=dance", "the lesson “dance”, which is not known"),
        ("epochs", "not of the form key=value"),
        ("network.x=1", "“network” is no table"),
    ],
)
def test_what_is_wrong_is_named(change: str, words: str) -> None:
    with pytest.raises(CxrError, match=words):
        kind_of(read_recipe("classify", [change]))


def test_no_recipe_and_no_toml(tmp_path: Path) -> None:
    with pytest.raises(CxrError, match="There is no recipe “none”") as fault:
        read_recipe("none")
    assert "classify" in fault.value.hint
    own = tmp_path / "own.toml"
    own.write_text("lesson = ", encoding="utf-8")
    with pytest.raises(CxrError, match=r"“own\.toml” cannot be read"):
        read_recipe(str(own))
    own.write_text('lesson = "classify"\nnetwork = "cxr-tiny"\n', encoding="utf-8")
    with pytest.raises(CxrError, match="lacks the key “input”"):
        read_recipe(str(own))
