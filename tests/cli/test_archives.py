"""Films in ZIP archives on the command line."""

from __future__ import annotations

import getpass
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cxr_viewer import cli

PASSWORD = "rib cage"


@pytest.fixture
def locked(repository: Path, tmp_path: Path) -> Path:
    """A film under the password ``rib cage``."""
    return shutil.copy(repository / "tests" / "sources" / "archives" / "aes256_ae2.zip", tmp_path / "films.zip")


@pytest.fixture
def password_file(tmp_path: Path) -> Callable[[str], list[str]]:
    def write(text: str) -> list[str]:
        file = tmp_path / "password.txt"
        file.write_text(text, encoding="utf-8")
        return ["--zip-password-file", str(file)]

    return write


def test_a_film_is_the_same_from_an_archive(repository: Path, tmp_path: Path) -> None:
    film = repository / "resources" / "samples" / "adult-3-nodule.dcm"
    with zipfile.ZipFile(tmp_path / "films.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.write(film)
    assert cli.main(["render", str(film), "-o", str(tmp_path / "plain.png")]) == 0
    assert cli.main(["render", str(tmp_path / "films.zip"), "-o", str(tmp_path / "zipped.png")]) == 0
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "zipped.png").read_bytes()


def test_which_of_several_films(
    need_data: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "o.png")
    path = str(need_data("hostile/zipslip.zip"))
    assert cli.main(["render", path, "-o", out]) == 2
    assert "The archive holds 3 films. Name one with --member: 0, 1, 3." in capsys.readouterr().err
    assert cli.main(["render", path, "-o", out, "--member", "3"]) == 0
    assert cli.main(["render", path, "-o", out, "--member", "2"]) == 1
    assert "The archive holds no film 2." in capsys.readouterr().err


def test_a_password_from_a_file(
    locked: Path, tmp_path: Path, password_file: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    render = ["render", str(locked), "-o", str(tmp_path / "o.png")]
    assert cli.main(render) == 1
    assert "films.zip is protected by a password. Give it with --zip-password-file" in capsys.readouterr().err
    assert cli.main([*render, *password_file("wrong\n")]) == 1
    assert "does not open films.zip" in capsys.readouterr().err
    assert cli.main([*render, *password_file("")]) == 2
    assert cli.main([*render, "--zip-password-file", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "o.png").exists()
    assert cli.main([*render, *password_file(f"{PASSWORD}\n")]) == 0
    assert (tmp_path / "o.png").exists()


def test_a_password_from_the_keyboard(
    locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    typed = iter(["wrong", PASSWORD])
    monkeypatch.setattr(getpass, "getpass", lambda *_: next(typed))
    assert cli.main(["render", str(locked), "-o", str(tmp_path / "o.png")]) == 0
    told = capsys.readouterr()
    assert "This password does not open it." in told.err
    assert PASSWORD not in told.err + told.out


def test_a_folder_with_a_protected_archive(
    locked: Path, repository: Path, tmp_path: Path, password_file: Callable[[str], list[str]]
) -> None:
    """Without the password the archive is an answer that failed; with it, its film is looked at like the others."""
    shutil.copy(repository / "resources" / "samples" / "child-1-normal.png", tmp_path / "film.png")
    out = tmp_path / "out" / "answers.json"
    out.parent.mkdir()
    assert cli.main(["analyse", str(tmp_path), "--json", str(out)]) == 1
    answers = {Path(answer["file"]).name: answer for answer in json.loads(out.read_text(encoding="utf-8"))}
    assert answers["films.zip"]["code"] == "password-needed"
    assert answers["film.png"]["status"] == "ok"
    cli.main(["analyse", str(locked), "--json", str(out), *password_file(PASSWORD)])
    (answer,) = json.loads(out.read_text(encoding="utf-8"))
    assert (answer["member"], answer["image"]["rows"]) == ("0", 64)
