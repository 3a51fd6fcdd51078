"""The published models this program knows, held against what the installed library says of them."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ScoreKind, Task
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.registry import Entry, read_registry, registry

LIBRARY = {
    "txrv-densenet121-all": "densenet121-res224-all",
    "txrv-densenet121-nih": "densenet121-res224-nih",
    "txrv-densenet121-pc": "densenet121-res224-pc",
    "txrv-densenet121-chex": "densenet121-res224-chex",
    "txrv-densenet121-rsna": "densenet121-res224-rsna",
    "txrv-densenet121-mimic-nb": "densenet121-res224-mimic_nb",
    "txrv-densenet121-mimic-ch": "densenet121-res224-mimic_ch",
    "txrv-resnet50-512": "resnet50-res512-all",
}
PSPNET = "chestx-det-pspnet"


def entry_of(model_id: str) -> Entry:
    return next(entry for entry in registry() if entry.model_id == model_id)


@pytest.fixture(scope="module")
def library() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchxrayvision
        import torchxrayvision.baseline_models.chestx_det
    return torchxrayvision


def test_the_recommended_model_comes_first_and_alone() -> None:
    assert [entry.model_id for entry in registry() if entry.recommended] == ["txrv-densenet121-all"]
    assert registry()[0].recommended
    assert {entry.model_id for entry in registry()} == {*LIBRARY, PSPNET}


@pytest.mark.parametrize("model_id", LIBRARY)
def test_addresses_labels_and_operating_points_are_the_librarys(library, model_id: str) -> None:
    known, entry = library.models.model_urls[LIBRARY[model_id]], entry_of(model_id)
    card = entry.card("0" * 64, entry.address, None)
    assert entry.address == known["weights_url"]
    assert entry.address.endswith(f"/{entry.file_name}")
    assert card.input.size_px == known["input_resolution"]
    offered = {
        row: (name, point)
        for row, (name, point) in enumerate(zip(known["labels"], known["op_threshs"], strict=True))
        if name and not math.isnan(point)
    }
    assert list(entry.rows) == list(offered), "outputs without a name or operating point are not offered"
    for label, (name, point) in zip(card.labels, offered.values(), strict=True):
        assert label.threshold == pytest.approx(point, rel=1e-6)
        assert label.name == name.replace("_", " ").capitalize()
        assert name in label.description
    assert card.score_kind is ScoreKind.OPERATING_POINT
    assert (1 / card.input.std, card.input.mean, card.input.fit) == (2048, 0.5, "crop")  # -1024 to 1024


def test_the_anatomy_is_the_librarys(library) -> None:
    known, entry = library.baseline_models.chestx_det.PSPNet, entry_of(PSPNET)
    card = entry.card("0" * 64, entry.address, None)
    assert card.task is Task.SEGMENT
    assert list(entry.rows) == list(range(14))
    assert [label.description for label in card.labels] == [f"Published as “{name}”." for name in known.targets]
    assert card.input.channel_means == (0.485, 0.456, 0.406)
    assert card.input.channel_stds == (0.229, 0.224, 0.225)


@pytest.mark.parametrize("entry", registry(), ids=lambda entry: entry.model_id)
def test_every_offer_says_what_a_reader_has_to_know(entry: Entry) -> None:
    card = entry.card("0" * 64, entry.address, None)
    offer = entry.offer(installed=False)
    assert card.intended_ages == (18, 95)
    assert card.intended_views == ("PA", "AP")
    assert "not for primary diagnosis" in card.intended_use or "no measurement" in card.intended_use
    assert "terms of their own" in card.licence
    assert len(card.cautions) >= 2
    assert all("not measured here" in figure for figure in offer.figures)
    assert offer.address.startswith("https://github.com/mlmed/torchxrayvision/releases/download/v1/")
    assert offer.size_bytes is not None
    assert offer.size_bytes > 20_000_000
    if card.task is Task.CLASSIFY:
        assert "not a probability" in card.cautions[0]


def test_the_printed_outputs_are_those_of_the_publisher() -> None:
    """FIXED: from the README of the library, for NIH 00000001_000.png with -resize."""
    published = entry_of("txrv-densenet121-all").published
    assert published is not None
    assert published.outputs == {"Cardiomegaly": 0.62152, "Fibrosis": 0.54016, "Pneumothorax": 0.30678}
    assert published.tolerance == 0.01
    assert (resources_dir() / "samples" / published.film).is_file()
    assert [entry.model_id for entry in registry() if entry.published] == ["txrv-densenet121-all"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rows = [8, 16]", "rows = [8]"),
        ("[offer]", "[other]"),
        ("network = ", "netwerk = "),
        ('summary = "', "summary = "),
        ("threshold = 0.13486601", "threshold = 7.0"),
    ],
)
def test_an_entry_with_a_fault_is_named(tmp_path: Path, old: str, new: str) -> None:
    text = (resources_dir() / "registry" / "txrv-densenet121-rsna.toml").read_text("utf-8")
    entry = tmp_path / "txrv-densenet121-rsna.toml"
    entry.write_text(text, encoding="utf-8")
    assert len(read_registry(tmp_path)) == 1
    entry.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ModelError, match="txrv-densenet121-rsna"):
        read_registry(tmp_path)


def test_printed_outputs_of_findings_it_does_not_have_are_a_fault(tmp_path: Path) -> None:
    text = (resources_dir() / "registry" / "txrv-densenet121-rsna.toml").read_text("utf-8")
    printed = '\n[published]\nfilm = "a"\nfilm_name = "b"\ntolerance = 0.1\n[published.outputs]\n"Mass" = 0.5\n'
    (tmp_path / "txrv-densenet121-rsna.toml").write_text(text + printed, encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        read_registry(tmp_path)
    assert caught.value.detail == "published outputs of labels it does not have"


def test_an_entry_is_called_as_its_file(tmp_path: Path) -> None:
    text = (resources_dir() / "registry" / "txrv-densenet121-rsna.toml").read_text("utf-8")
    (tmp_path / "a.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        read_registry(tmp_path)
    assert caught.value.code == "bad-registry"


def test_a_start_without_published_models_does_not_read_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxr_viewer.inference.registry.registry", lambda: pytest.fail("the registry was read"))
    catalog = BundleCatalog()
    assert "paediatric-pneumonia" in {card.model_id for card in catalog.cards()}


WATCHED = """
import sys
def watch(event, given):
    if event.startswith("socket.") and event != "socket.gethostname" or event == "subprocess.Popen":
        raise SystemExit(f"{event} {given}")
sys.addaudithook(watch)
from pathlib import Path
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.store.local import LocalStore
store = LocalStore(BundleCatalog(), Path(sys.argv[1]) / "models", Path(sys.argv[1]), read_film=None)
assert len(store.offers()) == 9
store.verify("paediatric-pneumonia")
assert not {"requests", "urllib3", "torch"} & set(sys.modules), sys.modules.keys()
print("quiet")
"""


def test_nothing_is_fetched_and_nothing_started_to_list_and_verify(tmp_path: Path, repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path)], cwd=repository, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("quiet", "")
    assert list(tmp_path.iterdir()) == []


def test_only_one_module_speaks_to_the_network(repository: Path) -> None:
    speaking = {
        path.relative_to(repository).as_posix()
        for path in (repository / "cxr_viewer").rglob("*.py")
        if any(
            line.lstrip().startswith(("import ", "from "))
            and any(name in line for name in ("requests", "urllib.request", "urllib3", "http.client", "import socket"))
            for line in path.read_text("utf-8").splitlines()
        )
    }
    assert speaking == {
        "cxr_viewer/inference/store/downloading.py",
        "cxr_viewer/inference/store/linefaults.py",  # names its errors
    }
