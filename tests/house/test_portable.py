"""Nothing in the repository knows the machine it was written on, and everything that is owed is said."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

# Folders that stand on one machine and not on another. A path an example names, such as ~/films, is fine.
MACHINE_PATH = re.compile(r"""(?<![\w.~$}/])(?:/(?:home|root|Users|work|opt|mnt|srv|tmp)/[\w.]|[A-Za-z]:\\Users\\)""")
SELF = "tests/house/test_portable.py"


@pytest.fixture(scope="module")
def texts(repository: Path) -> dict[str, str]:
    """Every text file that git knows, by its path."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs the git checkout, and this is none")
    found = {}
    for name in listed.stdout.split("\0"):
        path = repository / name
        if name and path.is_file() and b"\0" not in (content := path.read_bytes())[:8192]:
            found[name] = content.decode("utf-8")
    return found


def test_no_file_names_a_path_of_somebodys_machine(texts: dict[str, str]) -> None:
    assert "pyproject.toml" in texts
    named = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts.items()
        if name != SELF
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not named, "\n".join(named)


@pytest.mark.parametrize("text", ['open("/home/ann/x")', "see /work/x", r"C:\Users\ann", "at /tmp/out.png"])
def test_the_watch_sees_such_a_path(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize("text", ["https://a.example/home/x", "docs/work/x", "~/opt/x", "/usr/share/x", "a/tmp/b"])
def test_the_watch_lets_others_pass(text: str) -> None:
    assert not MACHINE_PATH.search(text)


def test_every_dependency_is_credited(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    notice = (repository / "NOTICE").read_text(encoding="utf-8").lower()
    for text in project["dependencies"] + project["optional-dependencies"]["dev"]:
        name = Requirement(text).name.lower()
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", notice), f"NOTICE does not name {name}"


def test_no_dependency_has_become_gpl_unseen(repository: Path) -> None:
    """A strong copyleft licence changes what may be done with a bundle of the program: NOTICE has to say so."""
    notice = (repository / "NOTICE").read_text(encoding="utf-8")
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for text in project["dependencies"]:
        name = Requirement(text).name
        said = importlib.metadata.metadata(name)
        licence = " ".join([said.get("License-Expression") or "", *(said.get_all("Classifier") or [])])
        if re.search(r"\bGPL|GNU General Public", licence):
            assert re.search(rf"{re.escape(name)}\b.*GPL", notice), f"{name}: {licence}"


def test_the_documents_link_to_what_is_there(repository: Path, texts: dict[str, str]) -> None:
    code = re.compile(r"```.*?```", re.DOTALL)
    documents = {name: code.sub("", text) for name, text in texts.items() if name.endswith(".md")}
    links = [
        (name, target)
        for name, prose in documents.items()
        for target in re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", prose)
        if "://" not in target
    ]
    dead = [f"{name}: {target}" for name, target in links if not (repository / name).parent.joinpath(target).exists()]
    assert links
    assert not dead
