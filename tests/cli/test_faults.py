"""Whatever goes wrong on the command line is one sentence and a status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cxr_viewer import cli
from cxr_viewer.cli import parts
from cxr_viewer.core.resources import resources_dir

NeedData = Callable[[str], Path]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["render", "{film}", "-o", "{out}", "--window", "file:9"], 2, "Choose another number"),
        (["render", "{film}", "-o", "{out}", "--window", "file:0"], 2, "is not a window"),
        (["render", "{film}", "-o", "{out}", "--window", "bright"], 2, "is not a window"),
        (["render", "nowhere.dcm", "-o", "{out}"], 1, "There is no such file."),
        (["render", "{film}", "-o", "{folder}/gone/a.png"], 1, "does not exist"),
        (["render", "{film}", "-o", "{folder}"], 1, "is a folder"),
        (["report", "{film}", "-o", "{out}", "--finding", "Pneumonia"], 2, "It has: Cardiomegaly, Effusion,"),
        (["report", "{film}", "-o", "{out}", "--model", "gpt"], 2, "There is no model “gpt”. Installed: "),
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
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(parts, "read_named_film", broken)
    assert cli.main(["render", "a.dcm", "-o", str(tmp_path / "a.png")]) == 1
    assert capsys.readouterr().err == "cxr-viewer: Something went wrong inside the program.\n"
    assert cli.main(["render", "a.dcm", "-o", str(tmp_path / "a.png"), "--verbose"]) == 1
    assert "ZeroDivisionError: a defect" in capsys.readouterr().err


def test_stopped_by_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parts, "read_named_film", stopped)
    assert cli.main(["render", "a.dcm", "-o", str(tmp_path / "a.png")]) == 130
