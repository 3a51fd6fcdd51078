"""The log: written by a thread of its own, without what tells who is on a film."""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import re
import secrets
import sysconfig
import threading
from collections.abc import Iterable
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import Final

from cxr_viewer.core.image import PatientInfo

_LOG_BYTES: Final = 2_000_000
_LOGS_KEPT: Final = 3
_SHORTEST_WORD: Final = 3  # a name "Li" or an id "7" would black out half the log; longer values hold them anyway
_FORMAT: Final = "%(asctime)s %(levelname)-7s %(threadName)s %(name)s: %(message)s"

_WORD = re.compile(r"\w+")
_UID = re.compile(r"(?<![\w.])[0-2](?:\.\d{1,64}){5,}")
_PUBLIC_UIDS = "1.2.840.10008."  # DICOM's own: SOP classes, transfer syntaxes
_ROOT = r"(?:[A-Za-z]:[\\/]|\\\\|/)"
_QUOTED_PATH = re.compile(rf"""(?P<quote>["'])(?P<path>{_ROOT}[^"'\r\n]+)(?P=quote)""")
_PLAIN_PATH = re.compile(rf"""(?<![\w.<:/\\"'])(?P<path>{_ROOT}[^\s"'<>|,;]*[^\s"'<>|,;:.])""")
_REST_OF_PATH = r"""[^"'\r\n,;<>|]*"""


class Redactor:
    """Takes out of texts what tells who is on a film.

    It removes the names, ids and birth dates it was told of, whole paths (folders and files are named after patients)
    save those of the program itself, and instance UIDs. A path or UID becomes a short tag that is the same throughout
    one run, so that lines can still be matched with each other, and means nothing in another. Safe on any thread.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self._lock = threading.Lock()
        self._phrases: dict[str, set[tuple[str, ...]]] = {}
        self._roots: dict[str, re.Pattern[str]] = {}
        libraries = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
        self._own = tuple(folder + os.sep for folder in (str(Path(__file__).resolve().parents[1]), *libraries))

    def protect(self, patients: Iterable[PatientInfo]) -> None:
        """Never let these patients' names, ids and birth dates pass again."""
        for patient in patients:
            self._learn(patient.patient_id)
            for part in re.split(r"[\^=\s]+", patient.name):
                self._learn(part)
            if patient.birth_date is not None:
                self._learn(patient.birth_date.isoformat())
                self._learn(patient.birth_date.strftime("%Y%m%d"))

    def protect_path(self, path: Path) -> None:
        """Never let this file or folder, or what is below it, pass again, spaces in its name and all."""
        text = str(path)
        if len(text) > _SHORTEST_WORD:
            with self._lock:
                self._roots[text] = re.compile(re.escape(text) + _REST_OF_PATH)

    def _learn(self, value: str) -> None:
        words = tuple(word.casefold() for word in _WORD.findall(value))
        if sum(map(len, words)) >= _SHORTEST_WORD:
            with self._lock:
                self._phrases.setdefault(words[0], set()).add(words)

    def clean(self, text: str) -> str:
        """``text`` with everything protected replaced by ``<...>``."""
        with self._lock:
            roots = sorted(self._roots.items(), key=lambda item: -len(item[0]))
        for root, pattern in roots:
            if root in text:
                text = pattern.sub(lambda match: self._path_tag(match.group()), text)
        text = _QUOTED_PATH.sub(lambda match: self._unless_own(match, "path"), text)
        text = _PLAIN_PATH.sub(lambda match: self._unless_own(match, "path"), text)
        text = _UID.sub(self._uid_tag, text)
        return self._without_phrases(text)

    def _unless_own(self, match: re.Match[str], group: str) -> str:
        path = match.group(group)
        if path.startswith(self._own):
            return match.group()
        start, end = match.span(group)
        whole = match.group()
        return whole[: start - match.start()] + self._path_tag(path) + whole[end - match.start() :]

    def _path_tag(self, path: str) -> str:
        path = path.rstrip()
        ending = Path(path).suffix if re.fullmatch(r"\.\w{1,5}", Path(path).suffix) else ""
        return f"<path {self._tag(path)}{ending}>"

    def _uid_tag(self, match: re.Match[str]) -> str:
        uid = match.group()
        return uid if uid.startswith(_PUBLIC_UIDS) else f"<uid {self._tag(uid)}>"

    def _tag(self, text: str) -> str:
        return hashlib.blake2s(text.encode(errors="surrogateescape"), key=self._key, digest_size=4).hexdigest()

    def _without_phrases(self, text: str) -> str:
        words = list(_WORD.finditer(text))
        folded = [word.group().casefold() for word in words]
        pieces, done, at = [], 0, 0
        with self._lock:
            while at < len(words):
                length = self._phrase_at(folded, at)
                if length:
                    pieces += [text[done : words[at].start()], "<patient>"]
                    done = words[at + length - 1].end()
                at += length or 1
        return "".join([*pieces, text[done:]])

    def _phrase_at(self, folded: list[str], at: int) -> int:
        """Number of words of the longest protected phrase that starts at word ``at``; 0 when there is none."""
        phrases = self._phrases.get(folded[at], ())
        return max((len(words) for words in phrases if tuple(folded[at : at + len(words)]) == words), default=0)


class _CleanFormatter(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__(_FORMAT)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.clean(super().format(record))  # last of all, so that tracebacks are clean as well


class Log:
    """The log file of one run: ``start`` once, ``stop`` before the program ends.

    Callers only put a record into a queue; the thread ``log`` formats, cleans and writes it. A folder that cannot be
    written costs the log, not the program: :meth:`start` returns False.

    Args:
        path: the file; three older ones of 2 MB are kept beside it.
        redactor: what may not be written.
        console: write to standard error as well.
    """

    def __init__(self, path: Path, redactor: Redactor, *, console: bool = False) -> None:
        self._path = path
        self._console = console
        self._formatter = _CleanFormatter(redactor)
        self._handler: QueueHandler | None = None
        self._listener: QueueListener | None = None
        self._level_before = logging.WARNING

    def start(self, level: int = logging.INFO) -> bool:
        """Take everything that is logged from now on; False when the file cannot be written."""
        targets: list[logging.Handler] = [logging.StreamHandler()] if self._console else []
        written = True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
            targets.append(RotatingFileHandler(self._path, "a", _LOG_BYTES, _LOGS_KEPT, encoding="utf-8"))
        except OSError:
            written = False
        for target in targets:
            target.setFormatter(self._formatter)
        records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        self._handler = QueueHandler(records)
        self._listener = _Listener(records, *targets)
        self._listener.start()
        root = logging.getLogger()
        self._level_before = root.level
        root.setLevel(level)
        root.addHandler(self._handler)
        return written

    def stop(self) -> None:
        """Write what waits and close the file. Safe to call twice."""
        if self._handler is None or self._listener is None:
            return
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._level_before)
        self._listener.stop()
        for target in self._listener.handlers:
            target.close()
        self._handler.close()
        self._handler = self._listener = None


class _Listener(QueueListener):
    """A listener whose thread has a name of its own in lists of threads."""

    _thread: threading.Thread | None

    def start(self) -> None:
        super().start()
        if self._thread is not None:
            self._thread.name = "log"
