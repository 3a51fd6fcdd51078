"""``evaluate``, ``compare`` and ``calibrate`` as they are typed, on real films and the bundled model."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from cxr_viewer import cli
from cxr_viewer.core.resources import resources_dir

MODEL = "paediatric-pneumonia"
BUNDLED = resources_dir() / "models" / MODEL
SAMPLES = resources_dir() / "samples"
FIELDS = ("path", "label", "patient", "view", "age")


@pytest.fixture
def home(tmp_path: Path, graphs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "cache").symlink_to(graphs, target_is_directory=True)
    monkeypatch.setenv("CXR_VIEWER_HOME", str(home))
    return home


def _write(path: Path, rows: Sequence[Sequence[object]], fields: Sequence[str] = FIELDS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([fields, *rows])
    return path


@pytest.fixture(scope="module")
def children(need_data: Callable[[str], Path]) -> list[list[object]]:
    """Thirty normal films and thirty with pneumonia, each of another child."""
    need_data("images/paediatric192")
    index = need_data("images/paediatric192_index.csv")
    seen: set[str] = set()
    chosen: dict[str, list[list[object]]] = {"NORMAL": [], "PNEUMONIA": []}
    with index.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows = chosen[row["label"]]
            if row["official_split"] == "test" and row["group_id"] not in seen and len(rows) < 30:
                seen.add(row["group_id"])
                rows.append([index.parent / row["path"], row["label"], row["group_id"], "PA", "3"])
    return [*chosen["NORMAL"], *chosen["PNEUMONIA"]]


def test_scores_are_those_that_analyse_gives(
    home: Path, children: list[list[object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = children[10:14] + children[40:44]
    index = _write(tmp_path / "site.csv", rows)
    out = tmp_path / "out"
    assert cli.main(["evaluate", "--model", MODEL, "--data", str(index), "--out", str(out), "--names"]) == 0
    told = capsys.readouterr().out
    assert "site.csv, all films: 8 films, 8 patients" in told
    with (out / "scores.csv").open(newline="", encoding="utf-8") as file:
        scores = {row["file"]: float(row["Pneumonia score"]) for row in csv.DictReader(file)}
    files = [str(row[0]) for row in rows]
    assert cli.main(["analyse", *files, "--model", MODEL, "--json", "-"]) == 0
    for answer in json.loads(capsys.readouterr().out):
        assert scores[Path(answer["file"]).name] == pytest.approx(answer["findings"][0]["score"], abs=1e-5)
    assert json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["model"]["calibration"] is None
    assert (out / "evaluation.html").read_text(encoding="utf-8").count("data:image/png") == 1


def test_dicom_films_and_columns_of_other_names(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films = ["adult-1-no-finding.dcm", "adult-2-cardiomegaly.dcm"]
    rows = [[SAMPLES / name, number, f"p{number}"] for number, name in enumerate(films)]
    index = _write(tmp_path / "ours.csv", rows, ("Bild", "verdict", "Kind"))
    given = ["--column", "path=Bild", "--column", "patient=Kind", "--label", "Pneumonia=verdict"]
    out = tmp_path / "out"
    assert cli.main(["evaluate", "--model", MODEL, "--data", str(index), *given, "--out", str(out)]) == 0
    figures = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert (figures["films"], figures["labels"][0]["positives"]) == (2, 1)
    assert "Only 1 film with Pneumonia: its figures say little." in (out / "evaluation.html").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda rows: rows[2].__setitem__(0, "gone.png"), "line 4: gone.png"),
        (lambda rows: rows[2].__setitem__(1, "perhaps"), "line 4: “perhaps”"),
        (lambda rows: rows[2].__setitem__(2, ""), "line 4: the film has no patient"),
        (lambda rows: rows[2].__setitem__(0, rows[0][0]), "line 2 and site.csv, line 4"),
        (lambda rows: rows[2].__setitem__(0, "broken.png"), "line 4: broken.png"),
    ],
)
def test_bad_lines_are_named_and_nothing_is_written(
    home: Path,
    children: list[list[object]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[list[list[object]]], None],
    words: str,
) -> None:
    rows = [list(row) for row in children[28:32]]
    spoil(rows)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    index = _write(tmp_path / "site.csv", rows)
    assert cli.main(["evaluate", "--model", MODEL, "--data", str(index), "--out", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_unreadable_films_are_left_out_when_allowed(
    home: Path, children: list[list[object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    index = _write(tmp_path / "site.csv", [*children[28:32], ["broken.png", "NORMAL", "x", "PA", "3"]])
    given = ["--allow-unreadable", "1", "--out", str(tmp_path / "out")]
    assert cli.main(["evaluate", "--model", MODEL, "--data", str(index), *given]) == 0
    page = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert "Left out, because they could not be read: 1 (site.csv, line 6)." in page


def test_refused_films_are_counted(home: Path, children: list[list[object]], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "blank.png"), np.full((200, 200), 90, np.uint8))
    index = _write(tmp_path / "site.csv", [*children[28:32], ["blank.png", "NORMAL", "x", "PA", "3"]])
    assert cli.main(["evaluate", "--model", MODEL, "--data", str(index), "--out", str(tmp_path / "out")]) == 0
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert list(figures["refused"].values()) == [1]
    assert figures["labels"][0]["films"] == 4


def test_two_models_on_the_same_films(
    home: Path, children: list[list[object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = _write(tmp_path / "site.csv", children[20:40])
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(BUNDLED, copy)
    given = ["compare", "--data", str(index), "--out", str(tmp_path / "out"), "--model", MODEL]
    assert cli.main([*given, "--model", str(copy)]) == 0
    assert "They order these films in the same way." in capsys.readouterr().out
    assert (tmp_path / "out" / "comparison.html").is_file()
    assert cli.main(given) == 2
    assert "Give --model twice" in capsys.readouterr().err


def test_calibrating_is_kept_used_and_taken_back(
    home: Path, children: list[list[object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = _write(tmp_path / "site.csv", children)
    calibrate = ["calibrate", "--model", MODEL]
    before = (BUNDLED / "card.toml").read_bytes()
    assert cli.main([*calibrate, "--data", str(index), "--site", "St. Anna", "--use", "site"]) == 0
    told = capsys.readouterr().out
    assert "Pneumonia (30 films with it, 30 without)" in told
    assert "Only 60 films" in told
    kept = home / "data" / "calibrations" / f"{MODEL}.toml"
    assert 'site = "St. Anna"' in kept.read_text(encoding="utf-8")
    assert (BUNDLED / "card.toml").read_bytes() == before

    def score() -> float:
        assert cli.main(["analyse", str(children[0][0]), "--model", MODEL, "--json", "-"]) == 0
        return float(json.loads(capsys.readouterr().out)[0]["findings"][0]["threshold"])

    of_site = score()
    assert cli.main([*calibrate, "--use", "factory"]) == 0
    assert "now scores as shipped; --use site changes that." in capsys.readouterr().out
    assert score() != of_site
    assert cli.main([*calibrate, "--use", "site"]) == 0
    capsys.readouterr()
    assert score() == of_site
    evaluate = ["evaluate", "--model", MODEL, "--data", str(_write(tmp_path / "few.csv", children[28:32]))]
    for use, site in (("site", "St. Anna, 60 films"), ("factory", None)):
        assert cli.main([*evaluate, "--out", str(tmp_path / use), "--use", use]) == 0
        model = json.loads((tmp_path / use / "evaluation.json").read_text(encoding="utf-8"))["model"]
        assert (model["calibration"] or "").startswith(site or "")
        assert bool(model["calibration"]) is bool(site)


def test_too_few_films_change_nothing(
    home: Path, children: list[list[object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = _write(tmp_path / "site.csv", children[20:40])
    assert cli.main(["calibrate", "--model", MODEL, "--data", str(index)]) == 1
    done = capsys.readouterr()
    assert "10 patients with it, 20 are needed" in done.out
    assert "nothing was changed" in done.err
    assert not (home / "data" / "calibrations" / f"{MODEL}.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["calibrate", "--model", MODEL], "Give --data"),
        (["calibrate", "--model", MODEL, "--use", "site"], "There is no calibration of this site"),
        (["evaluate", "--model", MODEL, "--data", "x", "--out", "OUT", "--use", "site"], "there is none"),
        (["evaluate", "--model", MODEL, "--data", "x", "--out", "OUT", "--column", "path"], "is not of the form"),
        (["evaluate", "--model", "nobodys", "--data", "x", "--out", "OUT"], "There is no model “nobodys”"),
    ],
)
def test_wrong_use_is_one_sentence(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    given = [word.replace("OUT", str(tmp_path / "out")) for word in arguments]
    assert cli.main(given) in (1, 2)
    assert words in capsys.readouterr().err
