"""The audit trail: which film was opened, scored and exported when, without saying whose it is, and by which models."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import logging
import os
import secrets
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from cxr_viewer.core.findings import AnalysisResult, ModelCard, Refusal
from cxr_viewer.core.image import ImageKey

_log = logging.getLogger(__name__)

_BEGINNING: Final = "0" * 64
_LONGEST_LINE: Final = 1 << 20


class AuditTrail:
    """An append-only file of JSON lines, each carrying the SHA-256 of the line before.

    Changing, adding or removing a line anywhere but at the end breaks the chain, see :func:`verify`; lines cut off at
    the end cannot be noticed without a copy kept elsewhere. Films appear as keyed hashes of their UIDs (HMAC-SHA-256
    with a key that lies beside the file and never leaves the machine), so that the file names nobody but the same film
    can be followed. Safe on several threads and in several programs on one file. A disk that cannot be written is
    logged and does not stop the reader.

    Args:
        path: the file, made with its folder when first needed, readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._key: bytes | None = None

    def opened(self, key: ImageKey) -> bool:
        """A film was shown. Returns False when it could not be written down; so do the other methods."""
        return self._append("opened", key, {})

    def analysed(self, result: AnalysisResult) -> bool:
        """A model has scored a film; scores are meaningless without the weights they come from, so both stand here.

        ``kept`` says that the answer was given before and shown again.
        """
        findings = [
            {"label": f.label, "score": round(f.score, 6), "kind": f.kind.value, "threshold": f.threshold}
            for f in result.findings
        ]
        limits = [caution.code for caution in result.limits]
        more = {
            "model": result.model_id,
            "version": result.model_version,
            "sha256": result.model_sha256,
            "device": result.device,
            "kept": result.kept,
            "findings": findings,
            "limits": limits,
            "cautions": [caution.code for caution in result.cautions],
        }
        return self._append("analysed", result.key, more)

    def refused(self, refusal: Refusal) -> bool:
        """A model declined to look at a film."""
        return self._append("refused", refusal.key, {"model": refusal.model_id, "code": refusal.code})

    def overrode(self, key: ImageKey, model_id: str, codes: Sequence[str]) -> bool:
        """The reader asked for a score of a film the guard had blocked."""
        return self._append("overrode", key, {"model": model_id, "signs": list(codes)})

    def exported(self, key: ImageKey, what: str, *, with_identity: bool) -> bool:
        """Something left the program: ``what`` is e.g. ``"report"`` or ``"view"``."""
        return self._append("exported", key, {"what": what, "with_identity": with_identity})

    def models(self, cards: Sequence[ModelCard]) -> bool:
        """Models were installed, replaced or removed; these are there now, each with its weights and its proof."""
        there = [
            {
                "model": card.model_id,
                "version": card.version,
                "sha256": card.sha256,
                "proof": card.proof.kind if card.proof is not None else "",
            }
            for card in cards
        ]
        return self._append("models", None, {"models": there})

    def image_id(self, key: ImageKey) -> str:
        """The name of a film in this file, hexadecimal.

        Raises:
            OSError: the key file cannot be read or made.
        """
        with self._held():
            return self._name(key)

    def _name(self, key: ImageKey) -> str:
        text = "\n".join((key.study_uid, key.series_uid, key.sop_uid, str(key.frame)))
        return hmac.new(self._secret(), text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()

    def _secret(self) -> bytes:
        if self._key is None:
            path = self._path.with_suffix(".key")
            try:
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(secrets.token_bytes(32))
            except FileExistsError:
                pass
            self._key = path.read_bytes()
        return self._key

    @contextmanager
    def _held(self) -> Iterator[None]:
        """One writer at a time, of all threads and programs."""
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _file_lock(self._path.with_suffix(".lock")):
                yield

    def _append(self, event: str, key: ImageKey | None, more: dict[str, Any]) -> bool:
        try:
            with self._held():
                self._write(event, "" if key is None else self._name(key), more)
        except OSError as error:
            _log.error("the audit trail cannot be written: %s", error.strerror)
            return False
        return True

    def _write(self, event: str, image: str, more: dict[str, Any]) -> None:
        with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b", 0) as file:
            last, torn = _last_line(file)
            entry = {
                "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
                "event": event,
                "image": image,
                **more,
                "previous": _digest(last) if last else _BEGINNING,
            }
            line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"
            file.write(b"\n" + line if torn else line)  # a program that died while writing left half a line


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What :func:`verify` found: the number of lines, and a sentence for each fault."""

    lines: int
    faults: tuple[str, ...]


def verify(path: Path) -> AuditCheck:
    """Follow the chain of an audit file; a missing file is an empty one.

    Raises:
        OSError: the file cannot be read.
    """
    faults: list[str] = []
    previous, number = _BEGINNING, 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                line = raw.rstrip(b"\n")
                faults += _faults(number, line, previous)
                previous = _digest(line)
    except FileNotFoundError:
        return AuditCheck(0, ())
    return AuditCheck(number, tuple(faults))


def _faults(number: int, line: bytes, previous: str) -> list[str]:
    try:
        entry = json.loads(line)
        carried = entry["previous"]
    except (ValueError, KeyError, TypeError):
        return [f"Line {number} cannot be understood."]
    if carried != previous:
        return [f"Line {number} does not follow from the line before: something was changed, added or removed there."]
    return []


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _last_line(file: IO[bytes]) -> tuple[bytes, bool]:
    """The last line without its end, and whether the end is missing."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LONGEST_LINE))
    tail = file.read()
    torn = bool(tail) and not tail.endswith(b"\n")
    return tail.removesuffix(b"\n").rpartition(b"\n")[2], torn


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold ``path`` against other programs; waits for its turn."""
    with path.open("a") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            try:
                yield
            finally:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed
            yield
