"""The work without a window, on real films, against renderers that share no code with this program."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr_viewer import cli
from cxr_viewer.cli import answers, parts
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.catalog import BundleCatalog

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # pictures the reference script opens
    pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning"),  # pydicom on what real films carry
]

FILMS = (
    "cr_barre_fuji_pa_mono1_10bit.dcm",
    "cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm",
    "cr_rsna_ap_viral2_jpegbaseline.dcm",
    "dx_canon_pa_mono1_12bit_j2klossless.dcm",
    "dx_nih_00002527_nodule_f37.dcm",
    "dx_lidc0005_lateral_ge_j2klossless_14bit.dcm",
    "syn_dx_canon_presentationlut_inverse.dcm",
    "syn_dx_canon_sigmoid_window.dcm",
    "syn_dx_canon_voilutsequence3.dcm",
    "tx_dx_canon_jpegls_lossless.dcm",
)
NODULE = "dicom/dx_nih_00002527_nodule_f37.dcm"
NeedData = Callable[[str], Path]


@pytest.fixture(scope="module")
def reference(repository: Path) -> ModuleType:
    """The reference renderers beside the checkout."""
    path = repository.parent / "shared" / "tools" / "ref_render.py"
    if not path.exists():
        pytest.skip("needs the reference renderers in ../shared/tools/ref_render.py, which is not there")
    spec = importlib.util.spec_from_file_location("ref_render_for_cli", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(autouse=True)
def _one_cache(graphs: Path, _user_folders: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turning the weights into a graph takes seconds and is done once for this module."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(graphs))
    monkeypatch.setenv("LOCALAPPDATA", str(graphs))


def pixels(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(path) as picture:
        assert picture.mode == "L"
        return np.asarray(picture)


# ---------------------------------------------------------------- render


@pytest.mark.parametrize("name", FILMS)
def test_render_is_within_one_grey_level_of_the_standard(
    name: str, need_data: NeedData, reference: ModuleType, tmp_path: Path
) -> None:
    path, out = need_data(f"dicom/{name}"), tmp_path / "film.png"
    assert cli.main(["render", str(path), "-o", str(out)]) == 0
    _, references = reference.render(str(path))
    assert np.abs(pixels(out).astype(int) - references["std"]).max() <= 1


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("name", ["syn_dx_canon_multiwindow.dcm", "syn_dx_canon_voilutsequence3.dcm"])
def test_every_window_of_the_file(
    name: str, number: int, need_data: NeedData, reference: ModuleType, tmp_path: Path
) -> None:
    path, out = need_data(f"dicom/{name}"), tmp_path / "film.png"
    assert cli.main(["render", str(path), "-o", str(out), "--window", f"file:{number}"]) == 0
    _, references = reference.render(str(path), idx=number - 1)
    assert np.abs(pixels(out).astype(int) - references["std"]).max() <= 1


def test_invert_and_a_window_below_zero(need_data: NeedData, tmp_path: Path) -> None:
    path = str(need_data(NODULE))
    upright, inverted = tmp_path / "a.png", tmp_path / "b.png"
    assert cli.main(["render", path, "-o", str(upright), "--window", "-20.5,600"]) == 0
    assert cli.main(["render", path, "-o", str(inverted), "--window=-20.5,600", "--invert"]) == 0
    assert (pixels(upright).astype(int) + pixels(inverted) == 255).all()
    assert pixels(upright).min() > 100  # 0 lies above the centre


def test_automatic_window_shows_a_film_whose_own_does_not(
    need_data: NeedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(need_data("dicom/dx_lidc0005_lateral_ge_j2klossless_14bit.dcm"))
    own, automatic = tmp_path / "a.png", tmp_path / "b.png"
    assert cli.main(["render", path, "-o", str(own)]) == 0
    assert "--window auto" in capsys.readouterr().err
    assert cli.main(["render", path, "-o", str(automatic), "--window", "auto"]) == 0
    assert pixels(own).std() < 10 < 40 < pixels(automatic).std()


def test_render_takes_raster_pictures(tmp_path: Path) -> None:
    picture = resources_dir() / "samples" / "child-1-normal.png"
    out = tmp_path / "a.png"
    assert cli.main(["render", str(picture), "-o", str(out)]) == 0
    np.testing.assert_array_equal(pixels(out), pixels(picture))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["render", "{film}", "-o", "{out}", "--window", "file:9"], 2, "Choose another number"),
        (["render", "{film}", "-o", "{out}", "--window", "file:0"], 2, "is not a window"),
        (["render", "{film}", "-o", "{out}", "--window", "bright"], 2, "is not a window"),
        (["render", "nowhere.dcm", "-o", "{out}"], 1, "There is no such file."),
        (["render", "{film}", "-o", "{folder}/gone/a.png"], 1, "does not exist"),
        (["render", "{film}", "-o", "{folder}"], 1, "is a folder"),
        (["report", "{film}", "-o", "{out}", "--finding", "Effusion"], 2, "It has: Pneumonia."),
        (["report", "{film}", "-o", "{out}", "--model", "gpt"], 2, "Installed: paediatric-pneumonia"),
        (["report", "{film}", "-o", "{out}", "--finding", "Pneumonia", "--without-model"], 2, "needs a model"),
        (["analyse", "{film}", "--model", "gpt"], 2, "There is no model"),
        (["analyse", "{film}", "--json", "{folder}/gone/a.json"], 1, "does not exist"),
        (["models", "info", "gpt"], 2, "There is no model"),
    ],
)
def test_a_fault_is_one_sentence(
    arguments: list[str],
    status: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    film = str(resources_dir() / "samples" / "adult-3-nodule.dcm")
    out = tmp_path / "out.png"
    filled = [word.format(film=film, out=out, folder=tmp_path) for word in arguments]
    assert cli.main(filled) == status
    told = capsys.readouterr().err
    assert told.startswith("cxr-viewer: ")
    assert told.count("\n") == 1
    assert words in told
    assert not out.exists()


@pytest.mark.parametrize("arguments", [["render", "a.dcm"], ["analyse"], ["models"], ["report", "-o", "a.png"], ["x"]])
def test_wrong_use_is_status_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "name",
    [
        "dicom-other/not_dicom.dcm",
        "dicom-other/sr_basic.dcm",
        "dicom-other/dx_broken_j2k_codestream_966.dcm",
        "dicom-other/no_pixel_data_secondary.dcm",
        "dicom-other/encapsulated_pdf.dcm",
    ],
)
def test_bad_files_are_a_sentence_and_a_way_out(
    name: str, need_data: NeedData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["render", str(need_data(name)), "-o", str(tmp_path / "a.png")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("cxr-viewer: ")
    assert "Traceback" not in told
    assert len(told.split(". ")) >= 2
    assert list(tmp_path.iterdir()) == []


def test_a_defect_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(parts, "reader", broken)
    assert cli.main(["render", "a.dcm", "-o", str(tmp_path / "a.png")]) == 1
    assert capsys.readouterr().err == "cxr-viewer: Something went wrong inside the program.\n"
    assert cli.main(["render", "a.dcm", "-o", str(tmp_path / "a.png"), "--verbose"]) == 1
    assert "ZeroDivisionError: a defect" in capsys.readouterr().err


def test_stopped_by_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parts, "reader", stopped)
    assert cli.main(["render", "a.dcm", "-o", str(tmp_path / "a.png")]) == 130


# ---------------------------------------------------------------- analyse


def analysed(arguments: list[str], tmp_path: Path, status: int = 0) -> dict[str, dict[str, Any]]:
    """Run ``analyse`` and give its answers by file name."""
    out = tmp_path / "answers.json"
    assert cli.main(["analyse", *arguments, "--json", str(out)]) == status
    listed = json.loads(out.read_text(encoding="utf-8"))
    assert isinstance(listed, list)
    for answer in listed:
        check_form(answer)
    return {Path(answer["file"]).name: answer for answer in listed}


def check_form(answer: dict[str, Any]) -> None:
    """Every answer has every field, whatever became of the file."""
    assert answer["status"] in ("ok", "refused", "failed")
    assert isinstance(answer["file"], str)
    assert set(answer["model"]) == {"id", "version", "sha256"}
    assert len(answer["model"]["sha256"]) == 64
    assert answer["seconds"] >= 0
    for finding in answer["findings"]:
        assert {"label", "score", "kind", "threshold", "positive"} <= set(finding)
        assert finding["positive"] is (finding["score"] >= finding["threshold"])
    if answer["status"] == "ok":
        assert answer["findings"]
        assert answer["reason"] == ""
    else:
        assert answer["reason"].endswith(".")
        assert answer["findings"] == []
    if answer["image"] is not None:
        wanted = {"rows", "columns", "view", "photometric", "spacing", "cautions"}
        assert wanted <= set(answer["image"])


def test_every_kind_of_file(need_data: NeedData, tmp_path: Path) -> None:
    names = (NODULE, "dicom-other/cr_hand_kodak.dcm", "dicom-other/not_dicom.dcm", "dicom-other/ct_small.dcm")
    found = analysed([*(str(need_data(name)) for name in names), str(tmp_path / "nowhere.dcm")], tmp_path, status=1)
    assert {name: answer["status"] for name, answer in found.items()} == {
        "dx_nih_00002527_nodule_f37.dcm": "ok",
        "cr_hand_kodak.dcm": "refused",
        "not_dicom.dcm": "failed",
        "ct_small.dcm": "refused",
        "nowhere.dcm": "failed",
    }
    nodule = found["dx_nih_00002527_nodule_f37.dcm"]
    assert (nodule["image"]["rows"], nodule["image"]["columns"]) == (1024, 1024)
    assert nodule["image"]["photometric"] == "MONOCHROME2"
    assert nodule["image"]["spacing"] is None
    assert [limit["code"] for limit in nodule["limits"]] == ["age-outside"]
    assert found["not_dicom.dcm"]["image"] is None
    assert found["cr_hand_kodak.dcm"]["image"]["spacing"]["source"]


def test_refused_alone_is_no_failure(need_data: NeedData, tmp_path: Path) -> None:
    found = analysed([str(need_data("dicom-other/cr_hand_kodak.dcm"))], tmp_path)
    assert found["cr_hand_kodak.dcm"]["status"] == "refused"


def test_a_folder_is_searched_and_nothing_in_it_is_lost(need_data: NeedData, tmp_path: Path) -> None:
    folder = tmp_path / "films" / "deeper"
    folder.mkdir(parents=True)
    shutil.copy(need_data(NODULE), folder / "a.dcm")
    data = need_data(NODULE).read_bytes()
    (folder / "cut.dcm").write_bytes(data[: len(data) // 2])
    (folder / "notes.txt").write_text("not a film", encoding="utf-8")
    (folder / ".hidden.dcm").write_bytes(data)
    found = analysed([str(tmp_path / "films"), str(folder / "a.dcm")], tmp_path, status=1)
    assert {name: answer["status"] for name, answer in found.items()} == {"a.dcm": "ok", "cut.dcm": "failed"}
    assert found["cut.dcm"]["code"] == "truncated"


def test_a_dicomdir_names_its_films(need_data: NeedData, tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    directory = need_data("dicom/media_set_dicomdir") / "DICOMDIR"
    assert cli.main(["analyse", str(directory), "--json", str(out)]) == 0
    listed = json.loads(out.read_text(encoding="utf-8"))
    assert len(listed) == 7
    assert len({answer["file"] for answer in listed}) == 7
    assert {answer["status"] for answer in listed} == {"ok"}


def test_an_empty_folder_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert cli.main(["analyse", str(tmp_path / "empty"), "--json", "-"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == []
    assert "No images were found" in told.err


def test_json_on_standard_output_is_json_and_lines_are_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = sorted(str(path) for path in (resources_dir() / "samples").glob("child-*.png"))
    assert cli.main(["analyse", *samples, "--json", "-"]) == 0
    told = capsys.readouterr()
    assert [Path(answer["file"]).name for answer in json.loads(told.out)] == [Path(path).name for path in samples]
    assert told.err == ""  # progress is for terminals
    assert cli.main(["analyse", *samples, "--json", str(tmp_path / "a.jsonl")]) == 0
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["ok", "ok"]


def test_words_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    sample = resources_dir() / "samples" / "adult-3-nodule.dcm"
    assert cli.main(["analyse", str(sample)]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{sample}: ok. Pneumonia: ")
    assert "The score does not hold for this film: Trained on children" in told


def test_heat_maps_are_named_after_the_digest(need_data: NeedData, tmp_path: Path) -> None:
    named = tmp_path / "Quellmalz^Xaver.dcm"
    shutil.copy(need_data(NODULE), named)
    folder = tmp_path / "new" / "maps"
    found = analysed([str(named), "--heatmaps", str(folder)], tmp_path)
    answer = found[named.name]
    (heatmap,) = answer["heatmaps"]
    assert heatmap["label"] == "Pneumonia"
    assert heatmap["file"] == f"{answer['image']['sha256'][:16]}-pneumonia.png"
    assert [path.name for path in folder.iterdir()] == [heatmap["file"]]
    with Image.open(folder / heatmap["file"]) as picture:
        assert picture.width == 1024
        assert picture.height > 1024


def test_the_score_is_the_same_every_time_and_through_every_codec(need_data: NeedData, tmp_path: Path) -> None:
    names = ["dx_canon_pa_mono1_12bit_j2klossless.dcm", "tx_dx_canon_jpegls_lossless.dcm"]
    found = analysed([str(need_data(f"dicom/{name}")) for name in names], tmp_path)
    first, second = (found[name]["findings"][0]["score"] for name in names)
    assert first == second


def test_what_was_answered_stays_when_the_user_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (str(path) for path in sorted((resources_dir() / "samples").glob("child-*.png")))
    real = parts.read_film

    def stopped(films: Any, path: Path) -> Any:
        if str(path) == second:
            raise KeyboardInterrupt
        return real(films, path)

    monkeypatch.setattr(parts, "read_film", stopped)
    found = analysed([first, second], tmp_path, status=130)
    assert list(found) == [Path(first).name]


def test_answers_are_not_lost_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    sample = resources_dir() / "samples" / "child-1-normal.png"
    assert cli.main(["analyse", str(sample), "--json", str(tmp_path / "a.json")]) == 1
    told = capsys.readouterr()
    assert "There is no room on the disk" in told.err
    assert [answer["status"] for answer in json.loads(told.out)] == ["ok"]
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights_fail_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundles = tmp_path / "models"
    shutil.copytree(resources_dir() / "models" / "paediatric-pneumonia", bundles / "paediatric-pneumonia")
    weights = bundles / "paediatric-pneumonia" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0\1"[-1:])
    monkeypatch.setattr(parts, "catalog", lambda: BundleCatalog([bundles]))
    sample = resources_dir() / "samples" / "adult-3-nodule.dcm"
    (answer,) = analysed([str(sample)], tmp_path, status=1).values()
    assert answer["code"] == "weights-damaged"
    assert answer["image"]["rows"] == 1024  # what is known of the film is said all the same
    assert cli.main(["report", str(sample), "-o", str(tmp_path / "a.png")]) == 1
    assert "damaged" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_no_model_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parts, "catalog", lambda: BundleCatalog([tmp_path]))
    for arguments in (["analyse", "a.dcm"], ["report", "a.dcm", "-o", "a.png"], ["models", "list"]):
        assert cli.main(arguments) == 1
        assert "No model is installed." in capsys.readouterr().err


def test_a_name_that_is_no_text_does_not_stop_the_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = os.fsdecode(b"caf\xe9.dcm")
    card = parts.choose_card(BundleCatalog(), None)
    fault = parts.failure_from(parts.no_such_file(), job="read")
    answer = answers.failed(Path(odd), fault, card, None)
    answers.LineWriter().put(answer)
    assert "There is no such file." in capsys.readouterr().out
    writer = answers.JsonWriter(str(tmp_path / "a.json"))
    writer.put(answer)
    writer.close()
    assert (
        b"caf\xe9.dcm" in (tmp_path / "a.json").read_bytes() or b"caf\\udce9.dcm" in (tmp_path / "a.json").read_bytes()
    )


# ---------------------------------------------------------------- report


def test_report_of_a_real_film(need_data: NeedData, tmp_path: Path) -> None:
    out = tmp_path / "report.png"
    arguments = ["report", str(need_data(NODULE)), "-o", str(out), "--finding", "pneumonia", "--comment", "Nodule."]
    assert cli.main(arguments) == 0
    with Image.open(out) as picture:
        assert picture.mode == "RGB"
        assert max(picture.size) >= 2000
        assert picture.info["Model"].startswith("paediatric-pneumonia ")


def test_report_shows_the_map_that_was_asked_for(tmp_path: Path) -> None:
    sample = str(resources_dir() / "samples" / "child-2-pneumonia.png")
    plain, mapped = tmp_path / "a.png", tmp_path / "b.png"
    assert cli.main(["report", sample, "-o", str(plain)]) == 0
    assert cli.main(["report", sample, "-o", str(mapped), "--finding", "Pneumonia"]) == 0

    def colour(path: Path) -> int:
        with Image.open(path) as picture:
            film = np.asarray(picture)[100:1500, 100:2000].astype(int)
        return int((film.max(axis=2) - film.min(axis=2)).max())

    assert colour(plain) == 0  # the age of the child is not known, so no map is shown unasked
    assert colour(mapped) > 60


def test_report_of_a_film_the_model_refuses(need_data: NeedData, tmp_path: Path) -> None:
    out = tmp_path / "report.png"
    assert cli.main(["report", str(need_data("dicom-other/cr_hand_kodak.dcm")), "-o", str(out)]) == 0
    with Image.open(out) as picture:
        assert "Model" not in picture.info
        assert picture.info["Title"] == "Radiograph: annotated report"


def test_report_without_a_model(tmp_path: Path) -> None:
    sample = str(resources_dir() / "samples" / "adult-1-no-finding.dcm")
    out = tmp_path / "a.png"
    assert cli.main(["report", sample, "-o", str(out), "--without-model", "--with-identity", "--invert"]) == 0
    with Image.open(out) as picture:
        assert "Model" not in picture.info


# ---------------------------------------------------------------- models


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "list"]) == 0
    listed = capsys.readouterr().out
    assert listed.startswith("paediatric-pneumonia  ")
    assert cli.main(["models", "info"]) == 0
    card = capsys.readouterr().out
    assert "Intended use: " in card
    assert "Ages:         1 to 5 years" in card
    assert "AUC" in card


# ---------------------------------------------------------------- as a process


def test_as_a_process(need_data: NeedData, tmp_path: Path) -> None:
    out = tmp_path / "film.png"
    done = subprocess.run(
        [sys.executable, "-m", "cxr_viewer", "render", str(need_data(NODULE)), "-o", str(out)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert pixels(out).shape == (1024, 1024)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise on Windows")
def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    started = subprocess.Popen(
        [sys.executable, "-m", "cxr_viewer", "models", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert started.stdout is not None
    assert started.stderr is not None
    started.stdout.close()
    told = started.stderr.read()
    started.stderr.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        started.wait(60)
    assert b"Traceback" not in told
    assert b"Exception ignored" not in told
