"""Where the files that travel with the program lie: models, sample films, icons."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cxr_viewer.core.errors import CxrError

_PACKAGE = Path(__file__).resolve().parent.parent


@cache
def resources_dir() -> Path:
    """Folder that holds ``models/``, ``samples/`` and ``icons/``, read-only for the program.

    An installed wheel carries it inside the package as ``cxr_viewer/_resources``; in a checkout, or an installation
    in editable mode, it is ``resources/`` at the top of the repository.

    Raises:
        CxrError: ``no-resources`` when neither is there, that is, the installation is damaged.
    """
    for folder in (_PACKAGE / "_resources", _PACKAGE.parent / "resources"):
        if folder.is_dir():
            return folder
    raise CxrError(
        "The program's own files (models, samples) are missing.",
        hint="Install the program again.",
        detail=f"neither {_PACKAGE / '_resources'} nor {_PACKAGE.parent / 'resources'} is a folder",
        code="no-resources",
    )
