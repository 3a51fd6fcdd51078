"""Folders of files made once from a model's weights, kept between runs, and trusted only while they are unchanged.

A folder appears whole or not at all, and carries a manifest with the digest of each of its files.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cxr_viewer.inference.cards import file_sha256

_MANIFEST_NAME = "manifest.json"
_PARTIAL = ".partial-"
_STALE_S = 3600


def write_folder(folder: Path, sha256: str, model_id: str, fill: Callable[[Path], dict[str, Any]]) -> None:
    """Make ``folder`` by ``fill``, which writes files into the path it is given and returns notes for the manifest.

    Args:
        sha256: digest of the weights that the files were made from.
        model_id: folders called ``<model_id>-<20 hexadecimal digits>`` beside this one are dropped: they belong to
            earlier weights or other versions of a library.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder.parent))
    try:
        notes = fill(partial)
        files = {path.name: file_sha256(path) for path in sorted(partial.iterdir())}
        manifest = {"weights": sha256, "files": files, "notes": notes}
        (partial / _MANIFEST_NAME).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            partial.rename(folder)
        except OSError:  # another copy of the program was quicker, with the same files
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _drop_older(folder, model_id)


def read_notes(folder: Path, sha256: str, needed: tuple[str, ...] = ()) -> dict[str, Any] | None:
    """The notes of a kept folder, once every file was found to be as it was written; None where it was not.

    Args:
        needed: files that have to be there.
    """
    try:
        manifest = json.loads((folder / _MANIFEST_NAME).read_text(encoding="utf-8"))
        files = manifest["files"]
        if manifest["weights"] != sha256 or not set(needed) <= set(files):
            return None
        # A name with a folder in it was not written by this program.
        if not all(Path(name).name == name and file_sha256(folder / name) == files[name] for name in files):
            return None
        return dict(manifest["notes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def kept_for(cache: Path, model_id: str) -> set[Path]:
    """All the folders in the program's cache that were made of a model's weights."""
    return {path for path in cache.glob("*/*") if _own(model_id).fullmatch(path.name)}


def _own(model_id: str) -> re.Pattern[str]:
    return re.compile(re.escape(model_id) + r"-[0-9a-f]{20}")


def _drop_older(folder: Path, model_id: str) -> None:
    """Files of earlier weights or another library are of no more use, nor is what an interrupted run left."""
    own = _own(model_id)
    for other in folder.parent.iterdir():
        left = other.name.startswith(_PARTIAL) and time.time() - other.stat().st_mtime > _STALE_S
        if left or (other != folder and own.fullmatch(other.name)):
            shutil.rmtree(other, ignore_errors=True)
