"""Choices of the reader that outlive a session: program folders, the settings file, the place of the window."""

from __future__ import annotations

import base64
import binascii
import logging
import os
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, Final

import platformdirs
import tomli_w

from cxr_viewer.services.state import CornerText

_log = logging.getLogger(__name__)

HOME_VARIABLE: Final = "CXR_VIEWER_HOME"
"""Environment variable with one folder for everything the program keeps: for tests and for portable use."""

_APP: Final = "cxr-viewer"
_SCHEMA_KEY: Final = "schema"


@dataclass(frozen=True, slots=True)
class Paths:
    """Folders of the program. None of them is made before something is written into it."""

    config: Path
    data: Path
    cache: Path
    state: Path
    log: Path

    @classmethod
    def of_user(cls, environment: Mapping[str, str] = os.environ) -> Paths:
        """The user's own folders, or everything below ``CXR_VIEWER_HOME`` where that is set."""
        home = environment.get(HOME_VARIABLE, "")
        if home:
            root = Path(home).expanduser().absolute()
            return cls(root / "config", root / "data", root / "cache", root / "state", root / "log")
        dirs = platformdirs.PlatformDirs(_APP, appauthor=False, roaming=False)
        return cls(
            dirs.user_config_path, dirs.user_data_path, dirs.user_cache_path, dirs.user_state_path, dirs.user_log_path
        )

    @property
    def settings_file(self) -> Path:
        return self.config / "settings.toml"

    @property
    def library_file(self) -> Path:
        return self.data / "library.sqlite"

    @property
    def models(self) -> Path:
        """Where the reader's own models are installed."""
        return self.data / "models"

    @property
    def window_file(self) -> Path:
        return self.state / "window.toml"

    @property
    def audit_file(self) -> Path:
        return self.state / "audit.jsonl"

    @property
    def log_file(self) -> Path:
        return self.log / "cxr-viewer.log"


class BrowserSort(Enum):
    """Order of the study list."""

    DATE = "date"
    NAME = "name"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the reader can choose. Change it with ``dataclasses.replace`` and :meth:`SettingsStore.save`.

    Attributes:
        model_id: the model last chosen, ``"auto"`` or empty for the one that is meant for each film.
        automatic: run the model on every film that opens.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or another name the engine knows.
        method: CAM method.
        show_maps: switch the heat map on by itself for findings at or above their operating point.
        show_seen: hatch what the model did not see.
        show_callipers: draw the callipers of the cardiothoracic ratio.
        offered: the recommended model was offered once.
        proxy: address of the proxy for downloads, empty for the system's own.
        corner_text: how much stands in the corners of a film.
        last_folder: where the file dialog starts, empty for the home folder.
        export_folder: where reports were saved last, empty for the home folder.
        invert_drag: dragging up darkens instead of brightening.
        thumbnail_px: side of the thumbnails in the browser, 32 to 256.
        browser_sort: order of the study list.
    """

    model_id: str = ""
    automatic: bool = True
    device: str = "auto"
    method: str = "Grad-CAM"
    show_maps: bool = True
    show_seen: bool = False
    show_callipers: bool = True
    offered: bool = False
    proxy: str = field(default="", repr=False)
    corner_text: CornerText = CornerText.FULL
    last_folder: str = field(default="", repr=False)
    export_folder: str = field(default="", repr=False)
    invert_drag: bool = False
    thumbnail_px: int = field(default=56, metadata={"range": (32, 256)})
    browser_sort: BrowserSort = BrowserSort.DATE

    def with_preference(self, name: str, value: object) -> Settings:
        """These settings with one value changed; values of choices may be given as written in the file.

        Raises:
            KeyError: there is no such setting.
            ValueError: the value does not fit it.
        """
        entry = next((entry for entry in fields(self) if entry.name == name), None)
        if entry is None:
            raise KeyError(name)
        plain = value.value if isinstance(value, Enum) else value
        changes: dict[str, Any] = {name: _checked(getattr(self, name), plain, entry.metadata)}
        return replace(self, **changes)


Table = dict[str, Any]
Migration = Callable[[Table], Table]
MIGRATIONS: Final[tuple[Migration, ...]] = ()
"""``MIGRATIONS[n]`` leads a settings file from schema ``n + 1`` to ``n + 2``. Never edit a released one; append."""


class SettingsStore:
    """The settings file (TOML).

    Unknown keys are kept, so that an older program does not forget what a newer one wrote, and a file of a newer schema
    keeps its number. Two programs that run at once do not undo each other's choices: saving writes only what changed.

    Args:
        path: the file.
        migrations: see :data:`MIGRATIONS`.
    """

    def __init__(self, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self._path = path
        self._migrations = migrations
        self._schema = len(migrations) + 1
        self._saved = Settings()
        self._notices: list[str] = []
        self._told: set[str] = set()

    def take_notices(self) -> tuple[str, ...]:
        """Sentences for the reader since the last call; none is told twice."""
        notices = tuple(dict.fromkeys(notice for notice in self._notices if notice not in self._told))
        self._told.update(notices)
        self._notices = []
        return notices

    def load(self) -> Settings:
        """What the file says; the default for whatever is missing or does not fit. Never raises."""
        self._saved = self._typed(self._read())
        return self._saved

    def save(self, settings: Settings) -> bool:
        """Write what differs from what was loaded or saved last, atomically. False when the file cannot be written."""
        changed = {
            entry.name: _plain(getattr(settings, entry.name))
            for entry in fields(settings)
            if getattr(settings, entry.name) != getattr(self._saved, entry.name)
        }
        if not changed:
            return True
        table = self._read()
        table = {_SCHEMA_KEY: table.pop(_SCHEMA_KEY, self._schema), **table, **changed}
        if not _write(self._path, table):
            self._notices.append("The settings could not be saved; they last until the program ends.")
            return False
        self._saved = settings
        return True

    def _read(self) -> Table:
        """The file as it is now, brought up to this program's schema; empty when there is none or it is damaged."""
        table = _read(self._path, self._notices, "settings file")
        version = table.get(_SCHEMA_KEY, self._schema)
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            version = self._schema
        for migration in self._migrations[version - 1 :]:
            table = migration(table)
        if table:
            table[_SCHEMA_KEY] = max(version, self._schema)
        return table

    def _typed(self, table: Table) -> Settings:
        settings = Settings()
        for entry in fields(settings):
            if entry.name not in table:
                continue
            try:
                settings = settings.with_preference(entry.name, table[entry.name])
            except ValueError:
                shown = _plain(getattr(settings, entry.name))
                self._notices.append(f"The setting {entry.name} has a value that does not fit; {shown!r} is used.")
        return settings


@dataclass(frozen=True, slots=True)
class WindowPlace:
    """Where the window was, as Qt's own opaque bytes (``saveGeometry``, ``saveState``); None when not known."""

    geometry: bytes | None = None
    layout: bytes | None = None


class WindowStore:
    """The file with the window's place. It belongs to this machine and its screens, so it is not in the settings."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> WindowPlace:
        """The place last saved; fields are None where nothing can be read. Never raises."""
        table = _read(self._path, [], "window file")
        return WindowPlace(_bytes(table.get("geometry")), _bytes(table.get("layout")))

    def save(self, place: WindowPlace) -> bool:
        """Write the place, atomically. False when the file cannot be written."""
        values = {"geometry": place.geometry, "layout": place.layout}
        table: Table = {name: base64.b64encode(value).decode() for name, value in values.items() if value is not None}
        return _write(self._path, table)


# ---------------------------------------------------------------- values


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _checked(like: object, value: object, metadata: Mapping[Any, Any]) -> object:
    """``value`` as the type of ``like``.

    Raises:
        ValueError: it is not of that type or out of range.
    """
    if isinstance(like, Enum):
        return type(like)(value)
    if type(value) is not type(like):
        raise ValueError(f"{type(like).__name__} wanted")
    if isinstance(value, int) and "range" in metadata:
        low, high = metadata["range"]
        if not low <= value <= high:
            raise ValueError(f"{low} to {high} wanted")
    return value


def _bytes(value: object) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        return None


# ---------------------------------------------------------------- files


def _read(path: Path, notices: list[str], what: str) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        kept = path.with_name(f"{path.stem}.damaged{path.suffix}")
        try:
            path.replace(kept)
        except OSError:
            notices.append(f"The {what} cannot be understood; defaults are used.")
        else:
            notices.append(f"The {what} cannot be understood. It was set aside as {kept.name}; defaults are used.")
    except OSError as error:
        _log.warning("the %s cannot be read: %s", what, error.strerror)
        notices.append(f"The {what} cannot be read; defaults are used.")
    return {}


def _write(path: Path, table: Table) -> bool:
    """Replace the file in one step, so that a crash or a full disk leaves the old one whole."""
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=path.stem, delete=False) as file:
            temporary = Path(file.name)
            tomli_w.dump(table, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _log.warning("a settings file cannot be written: %s", error.strerror)
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        return False
    return True
