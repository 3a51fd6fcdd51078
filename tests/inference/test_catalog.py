"""Installed models."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import Proof
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, write_card
from cxr_viewer.inference.catalog import BundleCatalog, bundle_dirs
from cxr_viewer.inference.registry import UNPROVEN_CAUTION


def test_the_bundled_model_is_found() -> None:
    catalog = BundleCatalog()
    assert "paediatric-pneumonia" in {card.model_id for card in catalog.cards()}
    assert catalog.problems() == ()
    assert (catalog.folder("paediatric-pneumonia") / WEIGHTS_NAME).is_file()


def test_the_users_own_folder_comes_after_the_programs(tmp_path: Path) -> None:
    program, own = bundle_dirs(tmp_path)
    assert program.name == own.name == "models"
    assert own.parent == tmp_path


def test_cards_are_sorted_by_name(tmp_path, bundle, random_network) -> None:
    for model_id, name in (("a", "Zebra"), ("b", "apple"), ("c", "Mango")):
        bundle(tmp_path, random_network(), model_id=model_id, name=name)
    assert [card.name for card in BundleCatalog([tmp_path]).cards()] == ["apple", "Mango", "Zebra"]


def test_one_bad_bundle_is_named_and_the_others_are_used(tmp_path, bundle, random_network) -> None:
    bundle(tmp_path, random_network(), model_id="good")
    bad, _ = bundle(tmp_path, random_network(), model_id="bad")
    (bad / CARD_NAME).write_text("schema = 1\nid = ")
    bare, _ = bundle(tmp_path, random_network(), model_id="bare", name="Bare")
    (bare / WEIGHTS_NAME).unlink()
    (tmp_path / "notes.txt").write_text("no bundle")
    (tmp_path / "empty").mkdir()
    catalog = BundleCatalog([tmp_path, tmp_path / "missing"])
    assert [card.model_id for card in catalog.cards()] == ["good"]
    damaged, without_weights = catalog.problems()
    assert "bad" in damaged
    assert "not valid TOML" in damaged
    assert "“Bare” has no weights" in without_weights


def test_of_two_bundles_with_one_id_the_first_is_used_and_named(tmp_path, bundle, random_network) -> None:
    first, _ = bundle(tmp_path / "first", random_network(), version="1.0")
    bundle(tmp_path / "second", random_network(seed=1), version="2.0")
    catalog = BundleCatalog([tmp_path / "first", tmp_path / "second"])
    assert catalog.folder("tiny") == first
    assert catalog.problems() == ("The model “tiny” is installed twice; version 1.0 is used, not 2.0.",)


def test_a_model_that_is_not_there_is_told_with_those_that_are(tmp_path, bundle, random_network) -> None:
    with pytest.raises(ModelError, match="No model is installed") as none:
        BundleCatalog([tmp_path]).card("tiny")
    assert none.value.code == "no-model"
    bundle(tmp_path, random_network())
    with pytest.raises(ModelError, match="no model “other”") as unknown:
        BundleCatalog([tmp_path]).card("other")
    assert unknown.value.code == "unknown-model"
    assert "tiny" in unknown.value.hint
    with pytest.raises(ModelError, match="No model was chosen"):
        BundleCatalog([tmp_path]).card("")


def test_a_new_model_is_seen_after_a_refresh(tmp_path, bundle, random_network) -> None:
    catalog = BundleCatalog([tmp_path])
    assert catalog.cards() == ()
    bundle(tmp_path, random_network())
    assert catalog.cards() == ()
    catalog.refresh()
    assert [card.model_id for card in catalog.cards()] == ["tiny"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user who may not read everything")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    assert "closed" in BundleCatalog([closed]).problems()[0]


def test_start_up_knows_models_devices_and_methods_without_an_engine(repository: Path) -> None:
    """The window's start-up may ask for these; nothing heavy may come with them."""
    script = (
        "import sys\n"
        "from cxr_viewer.inference.catalog import BundleCatalog\n"
        "from cxr_viewer.inference.devices import devices\n"
        "from cxr_viewer.inference.explain import METHODS\n"
        "assert BundleCatalog().cards() and devices()[:2] == ('auto', 'cpu') and METHODS[0] == 'Grad-CAM'\n"
        "heavy = {'torch', 'openvino', 'safetensors', 'cv2', 'pytorch_grad_cam', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=repository, check=True)


@pytest.mark.parametrize("kind", ["published-outputs", "own-outputs"])
def test_a_proof_that_only_a_card_speaks_of_is_none(tmp_path, bundle, random_network, kind: str) -> None:
    """A folder that was copied by hand was never held against anything."""
    folder, card = bundle(tmp_path, random_network())
    write_card(dataclasses.replace(card, proof=Proof(kind, "a film", 0.0)), folder / "card.toml")
    (found,) = BundleCatalog([tmp_path]).cards()
    assert found.proof == Proof("none-published")
    assert found.cautions[0] == UNPROVEN_CAUTION
