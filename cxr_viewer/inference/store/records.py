"""Which published file was installed here first, kept also when the model is removed.

The publishers print no checksums. So the first installation is believed, if it proves itself, and every later one is
held against it.
"""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import tomli_w

from cxr_viewer.core.errors import ModelError

RECORDS_NAME = "published.toml"


class Records:
    """The records in a models folder."""

    def __init__(self, models_folder: Path) -> None:
        self._path = models_folder / RECORDS_NAME

    def first_digest(self, offer_id: str) -> str | None:
        """sha256 of the file installed first; None where none was.

        Raises:
            ModelError: the records cannot be read (``bad-records``).
        """
        entry = self._read().get(offer_id)
        return None if entry is None else entry["sha256"]

    def note(self, offer_id: str, sha256: str) -> None:
        """Keep the digest of a published file; one accepted later takes the place of the first.

        Raises:
            ModelError: like :meth:`first_digest`.
            OSError: they cannot be written.
        """
        entries = self._read()
        if entries.get(offer_id, {}).get("sha256") == sha256:
            return
        entries[offer_id] = {"sha256": sha256, "installed": datetime.now(UTC).date().isoformat()}
        written = self._path.with_suffix(".new")
        written.write_bytes(tomli_w.dumps(entries).encode())
        written.replace(self._path)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            entries = tomllib.loads(self._path.read_text("utf-8"))
            if not all(isinstance(entry["sha256"], str) for entry in entries.values()):
                raise TypeError("a digest is no text")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"The record of installed models ({RECORDS_NAME} in the models folder) cannot be read.",
                hint="Remove that file if you do not mind that replaced files will not be noticed.",
                detail=repr(error),
                code="bad-records",
            ) from error
        return entries
