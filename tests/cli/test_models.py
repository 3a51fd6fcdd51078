"""``cxr-viewer models``: offers, cards, installing from files and folders, checking, removing."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
import tomli_w
import torch

from cxr_viewer.cli import main
from cxr_viewer.cli.cards import card_text, evidence_text, proof_text
from cxr_viewer.cli.progress import installing
from cxr_viewer.core.findings import MapEvidence, Proof
from cxr_viewer.core.offers import InstallProgress
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.core.wording import score_text
from cxr_viewer.inference.cards import card_to_dict, read_card
from cxr_viewer.inference.registry import registry
from cxr_viewer.services.settings import Paths

BUNDLED = "paediatric-pneumonia"
ALL = "txrv-densenet121-all"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The bundled model under another name, as somebody might hand it on."""
    folder = tmp_path / "mine"
    shutil.copytree(resources_dir() / "models" / BUNDLED, folder)
    card = card_to_dict(read_card(folder)) | {"id": "mine", "name": "Mine"}
    (folder / "card.toml").write_bytes(tomli_w.dumps(card).encode())
    return folder


def test_offers_name_size_licence_figures_and_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "offers"]) == 0
    told = capsys.readouterr().out
    first = told.split("\n\n")[0]
    assert first.startswith(f"{ALL} (recommended): ")
    for words in ("about 29 MB", "Apache-2.0", "mean .774", "not measured here", "https://github.com/mlmed/"):
        assert words in first
    assert told.count("needs --unproven") == len(registry()) - 1


def test_list_and_info_of_what_travels_with_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert BUNDLED in capsys.readouterr().out
    assert main(["models", "info", BUNDLED]) == 0
    told = capsys.readouterr().out
    card = read_card(resources_dir() / "models" / BUNDLED)
    (label,) = card.labels
    point = f"operating point {score_text(label.threshold, card.kind_of(label))}"
    for words in ("sha256 ", point, "Measured:", "Cautions:", "Proof:"):
        assert words in told


def test_info_of_a_published_model_says_where_it_came_from_and_what_was_proven() -> None:
    entry = next(entry for entry in registry() if entry.model_id == ALL)
    card = entry.card(
        "a" * 64, f"{entry.address} (published file: sha256 {'b' * 64})", Proof("published-outputs", "F", 0.002)
    )
    told = card_text(card)
    assert "b" * 64 in told
    assert "published outputs reproduced on F, largest difference 0.00200" in told
    assert "Cardiomegaly, operating point 0.05032, shown as 0.5." in told
    assert "only its structure" in proof_text(Proof("none-published"))


def test_a_map_that_does_not_beat_the_fixed_point_is_called_not_reliable() -> None:
    evidence = MapEvidence("Mass", "Grad-CAM", 0.3, 0.2, 0.4, 0.44, 0.1, 0.2, 50, "NIH boxes", beats_fixed=False)
    assert evidence_text(evidence) == (
        "Mass, Grad-CAM: MAP NOT RELIABLE; pointing game 0.30 (0.20 to 0.40), fixed point 0.44; IoU 0.10, "
        "fixed box 0.20; NIH boxes, n = 50"
    )


def test_a_folder_is_installed_listed_verified_and_removed(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "install", "--folder", str(bundle)]) == 0
    assert "Mine (mine)" in capsys.readouterr().out
    assert main(["models", "list"]) == 0
    version = read_card(bundle).version
    assert f"mine  {version}  Mine: Pneumonia" in capsys.readouterr().out
    assert main(["models", "verify"]) == 0
    shipped = len(list((resources_dir() / "models").glob("*/card.toml")))
    assert capsys.readouterr().out.count("is whole") == shipped + 1
    weights = Paths.of_user().models / "mine" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert main(["models", "verify"]) == 1
    told = capsys.readouterr()
    assert told.out.count("is whole") == shipped
    assert "damaged" in told.err
    assert main(["models", "verify", "mine"]) == 1
    assert main(["models", "remove", "mine"]) == 0
    assert main(["models", "info", "mine"]) == 2


def test_the_list_tells_which_film_check_is_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "ours"
    shutil.copytree(resources_dir() / "models" / "guard", folder)
    card = card_to_dict(read_card(folder)) | {"id": "ours", "name": "Ours"}
    (folder / "card.toml").write_bytes(tomli_w.dumps(card).encode())

    def told_of(model_id: str) -> str:
        capsys.readouterr()
        assert main(["models", "list"]) == 0
        return next(line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{model_id} "))

    assert told_of("guard").endswith("(used beside every model that gives findings)")
    assert main(["models", "install", "--folder", str(folder)]) == 0
    assert told_of("guard").endswith("(not in use: ours works in its place)")
    assert told_of("ours").endswith("(used beside every model that gives findings)")
    assert main(["models", "remove", "ours"]) == 0
    assert told_of("guard").endswith("(used beside every model that gives findings)")


def test_a_bundle_that_cannot_be_read_is_removed_by_the_name_of_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Paths.of_user().models / "torn model"
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text("schema = ")
    assert main(["models", "list"]) == 1
    assert "cxr-viewer models remove 'torn model'" in capsys.readouterr().err
    assert main(["models", "verify", "torn model"]) == 1
    assert "not valid TOML" in capsys.readouterr().err
    assert main(["models", "remove", "torn model"]) == 0
    assert not folder.exists()
    assert main(["models", "list"]) == 0


def test_without_a_readme_it_says_so(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / "README.md").unlink()
    assert main(["models", "install", "--folder", str(bundle)]) == 0
    assert "no README.md" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["install", "nothing"], "no model “nothing” to install"),
        (["install", "txrv-densenet121-nih"], "prints no outputs"),
        (["install", ALL, "--file", "missing.pt"], "no such file"),
        (["remove", BUNDLED], "travels with the program"),
        (["remove", "nothing"], "no model “nothing”"),
        (["verify", "nothing"], "no model “nothing”"),
        (["install", "--folder", "x", "--file", "y"], "exclude each other"),
    ],
)
def test_wrong_use_is_told_with_a_way_out(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("words", [["install"], ["install", ALL, "--folder", "x"], ["remove"], []])
def test_what_is_missing_or_too_much_is_wrong_use(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["models", *words])
    assert left.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_a_hostile_file_is_named_and_nothing_is_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {tmp_path / 'written'}",)

    torch.save(Hostile(), tmp_path / "net.pt", _use_new_zipfile_serialization=False)
    assert main(["models", "install", ALL, "--file", str(tmp_path / "net.pt")]) == 1
    assert f"{os.system.__module__}.system" in capsys.readouterr().err
    assert not (tmp_path / "written").exists()
    assert not (Paths.of_user().models / ALL).exists()


def test_a_proxy_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "install", ALL, "--proxy", "http://127.0.0.1:1"]) == 1
    assert "proxy cannot be reached" in capsys.readouterr().err


def test_the_proxy_of_the_settings_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Paths.of_user().settings_file
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('schema = 1\nproxy = "http://127.0.0.1:1"\n')
    assert main(["models", "install", ALL]) == 1
    assert "proxy cannot be reached" in capsys.readouterr().err


@pytest.mark.leaves_running("the watcher that tqdm starts with its first bar")
def test_progress_is_a_bar_on_a_terminal_and_nothing_elsewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def go() -> str:
        with installing() as report:
            report(InstallProgress("Downloading", 0, 2_000_000))
            report(InstallProgress("Downloading", 2_000_000, 2_000_000))
            report(InstallProgress("Converting the weights"))
        return capsys.readouterr().err

    assert go() == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    told = go()
    assert "Downloading" in told
    assert "2.00M/2.00M" in told
    assert told.endswith("Converting the weights ...\n")
