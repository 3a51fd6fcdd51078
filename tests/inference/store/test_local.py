"""From the publisher's server to a model that is used: fetched, read, converted, proven; and every way in which not."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from cxr_viewer.core.errors import CancelledError, ModelError
from cxr_viewer.core.findings import AnalysisRequest, InputSpec, ModelCard, Proof, ScoreKind
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.offers import InstallProgress
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import file_sha256, read_card, write_card
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.registry import UNPROVEN_CAUTION, Entry, Published, registry
from cxr_viewer.inference.runner import LocalRunner
from cxr_viewer.inference.store import bundles
from cxr_viewer.inference.store.local import LocalStore
from cxr_viewer.inference.store.records import Records

pytestmark = pytest.mark.timeout(600)  # a whole DenseNet is converted for OpenVINO twice

ALL, NIH = "txrv-densenet121-all", "txrv-densenet121-nih"
FILE = "/release/net.pt"


def entry_of(model_id: str) -> Entry:
    return next(entry for entry in registry() if entry.model_id == model_id)


@dataclass
class Place:
    """A store in folders of its own.

    Attributes:
        told: what was reported, in words.
    """

    root: Path
    read_film: Any
    entries: list[Entry]
    cache: Path | None = None

    def __post_init__(self) -> None:
        self.models = self.root / "models"
        self.cache = self.cache or self.root / "cache"
        self.catalog = BundleCatalog([self.models])
        self.told: list[InstallProgress] = []
        self.store = LocalStore(
            self.catalog,
            self.models,
            self.cache,
            read_film=self.read_film,
            entries=self.entries,
            schemes=("http",),
        )

    def install(self, model_id: str, cancel: CancelToken | None = None, **given: Any) -> ModelCard:
        return self.store.install(model_id, cancel or CancelToken(), self.told.append, **given)

    def refusal(self, model_id: str, **given: Any) -> ModelError:
        """Why an installation fails; it must leave nothing in the models folder but the record."""
        before = names(self.models)
        with pytest.raises(ModelError) as caught:
            self.install(model_id, **given)
        assert names(self.models) - {"published.toml"} == before - {"published.toml"}
        return caught.value


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@dataclass(frozen=True)
class Installed:
    place: Place
    card: ModelCard
    requests: list[str]


@pytest.fixture(scope="module")
def truth(publisher) -> dict[str, float]:
    """What the library says of the sample film, by our label."""
    labels = entry_of(ALL).card("0" * 64, "", None).labels
    scores = publisher.scores([label.threshold for label in labels])
    return {label.name: score for label, score in zip(labels, scores, strict=True)}


@pytest.fixture(scope="module")
def published_files(tmp_path_factory, publisher) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("published")
    return {"old": publisher.save(folder / "old.pt", old=True), "new": publisher.save(folder / "new.pt", old=False)}


@pytest.fixture(scope="module")
def offer(truth) -> Any:
    """``offer(address, **outputs)``: that of TorchXRayVision, with the library's own outputs as the printed ones."""

    def make(address: str = "http://127.0.0.1:1/net.pt", **outputs: float) -> Entry:
        entry = entry_of(ALL)
        assert entry.published is not None
        printed = {label: truth[label] for label in entry.published.outputs} | outputs
        published = dataclasses.replace(entry.published, outputs=printed)
        return dataclasses.replace(entry, address=address, file_name="net.pt", published=published)

    return make


@pytest.fixture(scope="module")
def installed(tmp_path_factory, make_server, serve, read_film, published_files, offer) -> Any:
    """One installation over the line, from a server that breaks off twice."""
    server = make_server()
    content = published_files["old"].read_bytes()
    server.files[FILE] = serve(content, breaks=[5_000_000, 10_000_000])
    place = Place(tmp_path_factory.mktemp("installed"), read_film, [offer(server.base + FILE), entry_of(NIH)])
    try:
        card = place.install(ALL)
    finally:
        server.close()
    return Installed(place, card, [path for path, _ in server.requests])


# ---------------------------------------------------------------- installing


def test_an_installed_model_carries_all_that_is_known_of_it(installed, published_files) -> None:
    folder = installed.place.models / ALL
    assert names(folder) == {"card.toml", "weights.safetensors", "README.md"}
    card = read_card(folder)
    assert card == installed.card == installed.place.catalog.card(ALL)
    assert card.sha256 == file_sha256(folder / "weights.safetensors")
    assert file_sha256(published_files["old"]) in card.source
    assert card.proof is not None
    assert card.proof.kind == "published-outputs"
    assert card.proof.worst <= 1e-5
    assert card.score_kind is ScoreKind.OPERATING_POINT
    text = (folder / "README.md").read_text("utf-8")
    assert "As published, not measured here" in text
    assert "were reproduced" in text
    assert card.licence in text


def test_its_scores_are_the_librarys_own(installed, read_film, truth) -> None:
    film = read_film(resources_dir() / "samples" / "adult-2-cardiomegaly.dcm", CancelToken())
    runner = LocalRunner(installed.place.catalog, installed.place.cache)
    stages: list[str] = []
    result = runner.analyse(AnalysisRequest(0, 1, film, ALL, device="cpu"), CancelToken(), stages.append)
    runner.close()
    assert {finding.label for finding in result.findings} == truth.keys()
    for finding in result.findings:
        assert finding.score == pytest.approx(truth[finding.label], abs=1e-5)
        assert finding.threshold == 0.5
    assert not any("only once" in stage for stage in stages), "what the proof made is there for the first film"


def test_the_way_there_was_told_and_nothing_but_the_model_is_left(installed) -> None:
    stages = list(OrderedDict.fromkeys(progress.stage for progress in installed.place.told))
    assert stages == [
        "Downloading",
        "Checking the published file",
        "Reading the published file",
        "Converting the weights",
        "Trying the model on a sample film",
        "Installed",
    ]
    assert installed.requests == [FILE] * 3
    assert names(installed.place.models) == {ALL, "published.toml"}
    assert {name for name in names(installed.place.cache / "downloads") if not name.endswith(".lock")} == set()


def test_an_offer_says_that_it_is_installed(installed) -> None:
    offers = {offer.offer_id: offer for offer in installed.place.store.offers()}
    assert offers[ALL].installed
    assert offers[ALL].proven
    assert offers[ALL].recommended
    assert not offers[NIH].installed
    assert not offers[NIH].proven


def test_a_model_that_does_not_reproduce_its_publishers_outputs_is_not_installed(
    tmp_path, read_film, published_files, offer, truth, installed
) -> None:
    wrong = truth["Fibrosis"] + 0.02
    entry = offer(Fibrosis=wrong, Pneumothorax=truth["Pneumothorax"] + 0.009)
    place = Place(tmp_path, read_film, [entry], installed.place.cache)
    error = place.refusal(ALL, file=published_files["new"])
    assert error.code == "not-reproduced"
    assert f"for Fibrosis {truth['Fibrosis']:.5f} instead of {wrong:.5f}" in error.summary
    assert place.catalog.cards() == ()
    assert names(place.models) == set()


def test_a_model_without_published_outputs_says_so_beside_every_score(tmp_path, read_film, published_files) -> None:
    place = Place(tmp_path, read_film, [entry_of(NIH)])
    error = place.refusal(NIH, file=published_files["old"])
    assert error.code == "none-published"
    card = place.install(NIH, file=published_files["old"], unproven=True)
    assert card.proof is not None
    assert card.proof.kind == "none-published"
    assert card.cautions[0] == UNPROVEN_CAUTION
    assert len(card.labels) == 14, "outputs without a name are not offered"
    film = read_film(resources_dir() / "samples" / "adult-2-cardiomegaly.dcm", CancelToken())
    runner = LocalRunner(place.catalog, place.cache)
    result = runner.analyse(AnalysisRequest(0, 1, film, NIH, device="cpu"), CancelToken(), lambda stage: None)
    runner.close()
    assert "unproven" in {caution.code for caution in result.cautions}
    assert len(result.findings) == 14


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda state: state.pop("features.norm5.weight"), "weights-mismatch"),
        (lambda state: state.update(extra=torch.ones(2)), "weights-mismatch"),
        (lambda state: state.update({"classifier.weight": torch.ones(18, 1000)}), "weights-mismatch"),
        (lambda state: state["features.conv0.weight"].fill_(float("nan")), "weights-damaged"),
    ],
    ids=["missing", "left over", "another shape", "no numbers"],
)
def test_weights_that_are_not_those_of_the_network_are_refused(
    tmp_path, read_film, publisher, offer, change, code
) -> None:
    state = OrderedDict((name, value.clone()) for name, value in publisher.model.state_dict().items())
    change(state)
    torch.save(state, tmp_path / "net.pt")
    place = Place(tmp_path / "place", read_film, [offer()])
    assert place.refusal(ALL, file=tmp_path / "net.pt").code == code


def test_a_hostile_file_from_the_server_is_refused_and_forgotten(tmp_path, server, serve, read_film, offer) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {tmp_path / 'written'}",)

    torch.save({"a": torch.ones(2), "b": Hostile()}, tmp_path / "net.pt", _use_new_zipfile_serialization=False)
    server.files[FILE] = serve((tmp_path / "net.pt").read_bytes())
    place = Place(tmp_path / "place", read_film, [offer(server.base + FILE)])
    error = place.refusal(ALL)
    assert error.code == "foreign-content"
    assert "system" in error.summary
    assert not (tmp_path / "written").exists()
    assert place.refusal(ALL).code == "foreign-content"
    assert len(server.requests) == 2, "it is fetched anew: the fault may have been on the way"


def test_a_wrong_file_or_page_in_its_place_is_refused(tmp_path, server, serve, read_film, offer) -> None:
    place = Place(tmp_path, read_film, [offer(server.base + FILE)])
    server.files[FILE] = serve(b"<!DOCTYPE html><html>Please sign on</html>")
    assert "web page" in place.refusal(ALL).summary
    server.files[FILE] = serve((resources_dir() / "samples" / "adult-1-no-finding.dcm").read_bytes())
    assert place.refusal(ALL).code == "not-a-model"
    assert place.refusal(ALL, file=tmp_path / "missing.pt").code == "no-such-file"
    assert place.refusal("nothing").code == "unknown-offer"


def test_a_published_file_that_is_no_plain_file_is_not_waited_for(tmp_path, read_film, offer) -> None:
    place = Place(tmp_path, read_film, [offer()])
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 1 << 40)
    for path, code in ((tmp_path / "pipe", "unreadable"), (Path("/dev/zero"), "unreadable"), (tmp_path, "unreadable")):
        assert place.refusal(ALL, file=path).code == code
    assert place.refusal(ALL, file=tmp_path / "large").code == "too-large"


def test_a_published_file_that_has_changed_is_not_installed_unasked(installed, published_files) -> None:
    """Also after the model was removed: the record stays."""
    place = installed.place
    digests = [file_sha256(published_files[form]) for form in ("old", "new")]
    error = place.refusal(ALL, file=published_files["new"])
    assert error.code == "changed-file"
    assert all(digest in error.detail for digest in digests)
    page = place.root / "page.pt"
    page.write_bytes(b"<html>")
    assert place.refusal(ALL, file=page, changed=True).code == "not-a-model"
    assert Records(place.models).first_digest(ALL) == digests[0], "what was refused leaves the record as it is"
    assert place.catalog.card(ALL) == installed.card


def test_a_file_accepted_later_takes_the_place_of_the_first_in_the_record(tmp_path) -> None:
    records = Records(tmp_path)
    assert records.first_digest("a") is None
    records.note("a", "1" * 64)
    records.note("b", "2" * 64)
    records.note("a", "3" * 64)
    assert (Records(tmp_path).first_digest("a"), Records(tmp_path).first_digest("b")) == ("3" * 64, "2" * 64)
    assert names(tmp_path) == {"published.toml"}


def test_cancelling_leaves_nothing_half_installed(tmp_path, read_film, published_files, offer) -> None:
    place = Place(tmp_path, read_film, [offer()])
    for stage in ("Checking the published file", "Reading the published file", "Converting the weights"):
        token = CancelToken()

        def cancel_at(progress: InstallProgress, token: CancelToken = token, stage: str = stage) -> None:
            if progress.stage == stage:
                token.cancel()

        with pytest.raises(CancelledError):
            place.store.install(ALL, token, cancel_at, file=published_files["old"])
        assert names(place.models) == set()


def test_a_models_folder_that_cannot_be_written_is_a_sentence(tmp_path, read_film, published_files, offer) -> None:
    place = Place(tmp_path, read_film, [offer()])
    place.models.write_text("a file where the folder should be")
    with pytest.raises(ModelError) as caught:
        place.install(ALL, file=published_files["old"])
    assert caught.value.code == "folder-closed"


# ---------------------------------------------------------------- what is installed


def test_verify_says_that_a_model_is_whole_and_finds_one_byte(installed) -> None:
    place = installed.place
    told = place.store.verify(ALL)
    assert installed.card.sha256 in told
    assert told.endswith("reproduced the outputs known for NIH ChestX-ray14 00000001_000.")
    weights = place.models / ALL / "weights.safetensors"
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ModelError) as caught:
            place.store.verify(ALL)
        assert caught.value.code == "weights-damaged"
    finally:
        weights.write_bytes(whole)
    with pytest.raises(ModelError):
        place.store.verify("nothing")


@pytest.mark.parametrize("kind", [None, "none-published", "own-outputs"])
def test_a_model_of_the_registry_without_a_passed_proof_is_not_used(installed, tmp_path, kind) -> None:
    folder = tmp_path / "models" / ALL
    folder.mkdir(parents=True)
    for name in ("weights.safetensors", "README.md"):
        os.link(installed.place.models / ALL / name, folder / name)
    proof = None if kind is None else dataclasses.replace(installed.card.proof, kind=kind)
    for renamed in (ALL, "another-name"):  # it is known by its name, and by where it came from
        source = entry_of(ALL).address
        card = dataclasses.replace(installed.card, proof=proof, model_id=renamed, source=source)
        write_card(card, folder / "card.toml")
        catalog = BundleCatalog([tmp_path / "models"])
        assert catalog.cards() == ()
        (problem,) = catalog.problems()
        assert "never held against its publisher's outputs" in problem


def test_removing_and_what_cannot_be_removed(tmp_path, read_film, bundle, random_network) -> None:
    place = Place(tmp_path, read_film, [])
    bundle(place.models, random_network())
    bundle(tmp_path / "program", random_network(), model_id="travels")
    place.catalog._dirs = (tmp_path / "program", place.models)
    assert place.store.own() == {"tiny"}
    with pytest.raises(ModelError) as caught:
        place.store.remove("travels")
    assert caught.value.code == "travels-with-program"
    with pytest.raises(ModelError) as caught:
        place.store.remove("nothing")
    assert caught.value.code == "unknown-model"
    for odd in ("..", ".", "../program/travels"):
        with pytest.raises(ModelError):
            place.store.remove(odd)
    place.store.remove("tiny")
    assert names(place.models) == set()
    assert [card.model_id for card in place.catalog.cards()] == ["travels"]


def test_a_model_that_cannot_be_used_can_be_removed(tmp_path, read_film, bundle, random_network) -> None:
    place = Place(tmp_path, read_film, [])
    folder, _ = bundle(place.models, random_network())
    bundle(place.models, random_network(), model_id="other")
    (folder / "card.toml").write_text("schema = ")
    place.store.remove("tiny")
    assert names(place.models) == {"other"}


def test_verify_says_why_a_model_cannot_be_used(tmp_path, read_film, installed, bundle, random_network) -> None:
    place = Place(tmp_path, read_film, [entry_of(ALL)])
    folder = place.models / ALL
    folder.mkdir(parents=True)
    os.link(installed.place.models / ALL / "weights.safetensors", folder / "weights.safetensors")
    write_card(dataclasses.replace(installed.card, proof=None), folder / "card.toml")
    bundle(place.models, random_network())
    (place.models / "tiny" / "card.toml").write_text("schema = ")
    for asked, why in ((ALL, "never held against its publisher's outputs"), ("tiny", "not valid TOML")):
        with pytest.raises(ModelError) as caught:
            place.store.verify(asked)
        assert why in caught.value.summary
        assert caught.value.code == "cannot-be-used"


def test_every_damaged_bundle_of_the_user_is_named_by_its_folder_and_removed(
    tmp_path, read_film, bundle, random_network
) -> None:
    """Also one whose card is no text, a pipe or a folder, and one that leads elsewhere: what is there stays."""
    place = Place(tmp_path, read_film, [])
    bundle(place.models, random_network(), model_id="good")
    outside, _ = bundle(tmp_path / "outside", random_network(), model_id="mine")
    (outside / "card.toml").write_text("schema = 9")
    (place.models / "link").symlink_to(outside)
    for name in ("text", "pipe", "folder", "twice"):
        (place.models / name).mkdir()
    (place.models / "text" / "card.toml").write_bytes(b"\xff\xfe")
    os.mkfifo(place.models / "pipe" / "card.toml")
    (place.models / "folder" / "card.toml").mkdir()
    for name in ("card.toml", "weights.safetensors"):
        (place.models / "twice" / name).write_bytes((place.models / "good" / name).read_bytes())
    (place.models / "notes").mkdir()
    damaged = ["folder", "link", "pipe", "text", "twice"]
    assert sorted(found.folder for found in place.store.damaged()) == damaged
    for odd in ("", ".", "..", "good", "notes", "../outside/mine", "nothing", str(outside)):
        with pytest.raises(ModelError):
            place.store.remove_damaged(odd)
    for name in damaged[:2]:
        place.store.remove_damaged(name)
    for name in damaged[2:]:
        place.store.remove(name)
    assert names(place.models) == {"good", "notes"}
    assert place.store.damaged() == ()
    assert names(outside) == {"card.toml", "weights.safetensors"}


def test_what_engines_made_of_a_model_goes_with_it(tmp_path, read_film, bundle, random_network) -> None:
    place = Place(tmp_path, read_film, [])
    bundle(place.models, random_network())
    digest = "0123456789abcdef0123"
    for kind in ("graphs", "engines"):
        for name in (f"tiny-{digest}", f"tiny-2-{digest}", "downloads"):
            (place.cache / kind / name).mkdir(parents=True)
    place.store.remove("tiny")
    for kind in ("graphs", "engines"):
        assert names(place.cache / kind) == {f"tiny-2-{digest}", "downloads"}


def test_a_copy_of_what_travels_with_the_program_can_be_removed(tmp_path, read_film, bundle, random_network) -> None:
    place = Place(tmp_path, read_film, [])
    bundle(tmp_path / "program", random_network())
    bundle(place.models, random_network())
    place.catalog._dirs = (tmp_path / "program", place.models)
    place.store.remove("tiny")
    assert names(place.models) == set()
    with pytest.raises(ModelError) as caught:
        place.store.remove("tiny")
    assert caught.value.code == "travels-with-program"


_KILLED = """
import os, signal, sys
from pathlib import Path
from cxr_viewer.inference.store import bundles
models = Path(sys.argv[1])
with bundles.work_folder(models) as work:
    (work / "tiny").mkdir()
    if sys.argv[2] == "replacing":
        (models / "tiny").rename(bundles.replaced(work, models / "tiny"))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a way to end a process at once")
@pytest.mark.parametrize("moment", ["copying", "replacing"])
def test_a_program_that_is_killed_leaves_nothing_and_takes_nothing(tmp_path, bundle, random_network, moment) -> None:
    models = tmp_path / "models"
    folder, card = bundle(models, random_network())
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = subprocess.run([sys.executable, "-c", _KILLED, str(models), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(names(models)) == (2 if moment == "copying" else 1)
    with bundles.work_folder(models) as running:  # of a program that lives
        bundles.sweep(models)
        assert names(models) == {"tiny", running.name}
    assert names(models) == {"tiny"}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert BundleCatalog([models]).card("tiny") == card


# ---------------------------------------------------------------- folders


def test_a_folder_is_added_tried_and_copied(tmp_path, read_film, bundle, random_network) -> None:
    place = Place(tmp_path, read_film, [])
    folder, card = bundle(tmp_path / "elsewhere", random_network())
    (folder / "README.md").write_text("# Tiny")
    (folder / "roc.png").write_bytes(b"png")
    (folder / "weights.safetensors").chmod(0o755)
    assert place.store.add(folder, CancelToken(), place.told.append) == card
    assert names(place.models / "tiny") == {"README.md", "card.toml", "roc.png", "weights.safetensors"}
    assert place.catalog.card("tiny") == card
    assert not os.access(place.models / "tiny" / "weights.safetensors", os.X_OK)
    assert names(place.models) == {"tiny"}
    (folder / "README.md").unlink()
    place.store.add(folder, CancelToken(), place.told.append)  # takes the place of the first
    assert any("no README.md" in progress.stage for progress in place.told)


def test_a_proven_model_is_proven_again_where_it_is_added(tmp_path, read_film, installed, offer, truth) -> None:
    folder = installed.place.models / ALL
    cache = installed.place.cache
    honest = Place(tmp_path / "honest", read_film, [offer()], cache)
    assert honest.store.add(folder, CancelToken(), honest.told.append).proof == installed.card.proof
    other = Place(tmp_path / "other", read_film, [offer(Fibrosis=truth["Fibrosis"] - 0.5)], cache)
    with pytest.raises(ModelError) as caught:
        other.store.add(folder, CancelToken(), other.told.append)
    assert caught.value.code == "not-reproduced"
    assert names(other.models) == set()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "setup.py").write_text(""), "“setup.py” does not belong"),
        (lambda folder: (folder / "weights.pt").write_text(""), "“weights.pt” does not belong"),
        (lambda folder: (folder / "other.safetensors").write_text(""), "“other.safetensors” does not belong"),
        (lambda folder: (folder / "code").mkdir(), "“code” is not a plain file"),
        (lambda folder: (folder / "x.md").symlink_to("/etc/passwd"), "“x.md” is a link"),
        (lambda folder: os.mkfifo(folder / "x.md"), "“x.md” is not a plain file"),
        (lambda folder: (folder / "card.toml").unlink(), "no card.toml"),
        (lambda folder: (folder / "card.toml").write_text("schema = 9"), "schema"),
        (lambda folder: (folder / "weights.safetensors").unlink(), "no weights.safetensors"),
        (lambda folder: (folder / "weights.safetensors").write_bytes(b"x"), "damaged or belong"),
        (lambda folder: os.truncate(folder / "card.toml", 17 << 20), "too large"),
        (lambda folder: [(folder / f"{n}.txt").write_text("") for n in range(70)], "more than 64 files"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="makes links and pipes")
def test_a_folder_with_anything_odd_in_it_is_not_added(
    tmp_path, read_film, bundle, random_network, spoil, words
) -> None:
    place = Place(tmp_path, read_film, [])
    folder, _ = bundle(tmp_path / "elsewhere", random_network())
    spoil(folder)
    with pytest.raises(ModelError) as caught:
        place.store.add(folder, CancelToken(), place.told.append)
    assert words in caught.value.summary
    assert names(place.models) == set()


def test_a_folder_that_is_none_is_not_added(tmp_path, read_film, card) -> None:
    place = Place(tmp_path, read_film, [])
    for folder in (tmp_path / "missing", Path(__file__)):
        with pytest.raises(ModelError) as caught:
            place.store.add(folder, CancelToken(), place.told.append)
        assert caught.value.code == "bad-bundle"
    dots = tmp_path / "dots"
    dots.mkdir()
    (dots / "weights.safetensors").write_bytes(b"")
    for odd in ("..", ".installing-x", "published.toml"):
        write_card(card(model_id=odd), dots / "card.toml")
        with pytest.raises(ModelError, match="its id is"):
            place.store.add(dots, CancelToken(), place.told.append)


@pytest.mark.parametrize("kind", ["published-outputs", "own-outputs"])
def test_a_proof_that_a_card_only_claims_is_not_believed(tmp_path, read_film, bundle, random_network, kind) -> None:
    place = Place(tmp_path, read_film, [])
    folder, card = bundle(tmp_path / "elsewhere", random_network(), model_id="old")
    write_card(dataclasses.replace(card, proof=Proof(kind, "a film", 0.0)), folder / "card.toml")
    for _ in range(2):  # the second takes the place of the first
        added = place.store.add(folder, CancelToken(), place.told.append)
        assert added.proof == Proof("none-published")
        assert added.cautions[0] == UNPROVEN_CAUTION
        assert place.catalog.card("old") == added
    assert names(place.models) == {"old"}


def test_a_published_model_under_another_name_is_proven_too(tmp_path, read_film, bundle, random_network) -> None:
    folder, card = bundle(tmp_path / "elsewhere", random_network(), model_id="another-name")
    published = Published("adult-2-cardiomegaly.dcm", "a film", 0.01, {"Bright": 2.0})
    entry = dataclasses.replace(entry_of(ALL), published=published)
    place = Place(tmp_path, read_film, [entry])
    claimed = dataclasses.replace(card, source=entry.address, proof=Proof("published-outputs", "a film", 0.0))
    write_card(claimed, folder / "card.toml")
    with pytest.raises(ModelError, match="for Bright"):
        place.store.add(folder, CancelToken(), place.told.append)


def test_a_card_that_changes_while_it_is_copied_is_not_added(
    tmp_path, read_film, bundle, random_network, monkeypatch
) -> None:
    place = Place(tmp_path, read_film, [])
    folder, card = bundle(tmp_path / "elsewhere", random_network())
    copy = bundles.copy

    def swapped(source: Path, target: Path, cancel: CancelToken) -> None:
        copy(source, target, cancel)
        write_card(dataclasses.replace(card, temperature=9.0), target / "card.toml")

    monkeypatch.setattr(bundles, "copy", swapped)
    with pytest.raises(ModelError, match="changed while it was copied"):
        place.store.add(folder, CancelToken(), place.told.append)
    assert names(place.models) == set()


def test_a_film_check_is_tried_by_checking_a_film(tmp_path, read_film) -> None:
    place = Place(tmp_path, read_film, [])
    folder = tmp_path / "theirs" / "guard"
    shutil.copytree(resources_dir() / "models" / "guard", folder)
    added = place.store.add(folder, CancelToken(), place.told.append)
    assert (added.serves, names(place.models)) == ("guard", {"guard"})
    assert place.store.own() == {"guard"}
    place.store.remove("guard")

    (folder / "weights.safetensors").write_bytes(save({"nothing": np.zeros(1, np.float32)}))
    write_card(dataclasses.replace(added, sha256=file_sha256(folder / "weights.safetensors")), folder / "card.toml")
    with pytest.raises(ModelError, match="could not check a sample film"):
        place.store.add(folder, CancelToken(), place.told.append)
    assert names(place.models) == set()


def test_a_model_of_the_lungs_is_tried_with_the_programs_own_anatomy_model(
    tmp_path, read_film, bundle, random_network
) -> None:
    place = Place(tmp_path, read_film, [])
    lungs = InputSpec(64, "stretch", False, 0.5, 0.25, crop="lungs", margin=0.05)
    folder, card = bundle(tmp_path / "theirs", random_network(), input=lungs)
    assert place.store.add(folder, CancelToken(), place.told.append) == card
    assert names(place.models) == {"tiny"}


def test_a_model_that_does_not_run_is_not_added(tmp_path, read_film, bundle, random_network) -> None:
    place = Place(tmp_path, read_film, [])
    folder, card = bundle(tmp_path / "elsewhere", random_network())
    write_card(dataclasses.replace(card, network="cxr-small"), folder / "card.toml")
    with pytest.raises(ModelError) as caught:
        place.store.add(folder, CancelToken(), place.told.append)
    assert caught.value.code == "weights-mismatch"
    assert names(place.models) == set()


def test_records_that_cannot_be_read_are_a_sentence(tmp_path, read_film, published_files, offer) -> None:
    place = Place(tmp_path, read_film, [offer()])
    place.models.mkdir()
    (place.models / "published.toml").write_text("sha256 = ")
    assert place.refusal(ALL, file=published_files["old"]).code == "bad-records"


def test_what_a_killed_installation_left_behind_is_removed_later(tmp_path, read_film, bundle, random_network) -> None:
    place = Place(tmp_path, read_film, [])
    old, running = place.models / ".installing-old", place.models / ".installing-running"
    for folder in (old, running):
        bundle(folder, random_network())
    os.utime(old, (0, 0))
    assert place.catalog.cards() == (), "what is being installed is no model yet"
    folder, _ = bundle(tmp_path / "elsewhere", random_network())
    place.store.add(folder, CancelToken(), place.told.append)
    assert names(place.models) == {"tiny", running.name}


def test_what_an_engine_made_of_a_refused_model_is_not_kept(tmp_path, read_film, bundle, random_network) -> None:
    place = Place(tmp_path, read_film, [])
    folder, card = bundle(tmp_path / "elsewhere", random_network())
    published = Published("adult-2-cardiomegaly.dcm", "a film", 0.01, {"Bright": 2.0})
    entry = dataclasses.replace(entry_of(ALL), model_id=card.model_id, published=published)
    refusing = Place(tmp_path / "refusing", read_film, [entry])
    write_card(dataclasses.replace(card, proof=Proof("published-outputs")), folder / "card.toml")
    with pytest.raises(ModelError, match="for Bright"):
        refusing.store.add(folder, CancelToken(), refusing.told.append)
    assert list(refusing.cache.glob("*/tiny-*")) == []
    place.store.add(folder, CancelToken(), place.told.append)
    assert list(place.cache.glob("*/tiny-*"))
