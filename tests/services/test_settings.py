"""Choices outlive a session, and a bad file costs a notice, never the start of the program."""

from __future__ import annotations

import dataclasses
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.services import events as ev
from cxr_viewer.services.session import reduce
from cxr_viewer.services.settings import (
    BrowserSort,
    Paths,
    Settings,
    SettingsStore,
    Table,
    WindowPlace,
    WindowStore,
)
from cxr_viewer.services.state import CornerText, ViewerState


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "settings.toml"


def written(path: Path, text: str) -> SettingsStore:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return SettingsStore(path)


def saved(path: Path) -> Table:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_without_a_file_the_defaults_hold_and_none_is_made(path: Path) -> None:
    assert SettingsStore(path).load() == Settings()
    assert not path.exists()


def test_every_setting_comes_back_as_it_was(path: Path) -> None:
    chosen = Settings(
        model_id="paediatric",
        automatic=False,
        device="cpu",
        method="LayerCAM",
        show_maps=False,
        show_seen=True,
        show_callipers=False,
        offered=True,
        proxy="http://proxy.hospital:3128",
        corner_text=CornerText.NO_IDENTITY,
        last_folder="/films/Größe",
        export_folder="/reports",
        invert_drag=True,
        thumbnail_px=96,
        browser_sort=BrowserSort.NAME,
    )
    defaults = Settings()
    untouched = [f.name for f in dataclasses.fields(chosen) if getattr(chosen, f.name) == getattr(defaults, f.name)]
    assert not untouched, "each setting has to differ from its default, or this proves nothing"
    store = SettingsStore(path)
    store.load()
    assert store.save(chosen)
    assert SettingsStore(path).load() == chosen


def test_unknown_keys_and_tables_are_kept(path: Path) -> None:
    store = written(path, 'schema = 1\nfrom_the_future = 3\n[tools]\nruler = "red"\n')
    store.save(replace(store.load(), automatic=False))
    table = saved(path)
    assert (table["from_the_future"], table["tools"], table["automatic"]) == (3, {"ruler": "red"}, False)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('automatic = "yes"', "automatic"),
        ("automatic = 1", "automatic"),
        ("device = 3", "device"),
        ('corner_text = "everything"', "corner_text"),
        ("corner_text = []", "corner_text"),
        ("thumbnail_px = 100000", "thumbnail_px"),
        ("thumbnail_px = true", "thumbnail_px"),
        ("browser_sort = 1979-05-27", "browser_sort"),
    ],
)
def test_a_bad_value_falls_back_with_a_notice(path: Path, line: str, name: str) -> None:
    store = written(path, f'schema = 1\nmodel_id = "kept"\n{line}\n')
    loaded = store.load()
    assert getattr(loaded, name) == getattr(Settings(), name)
    assert loaded.model_id == "kept"
    (notice,) = store.take_notices()
    assert name in notice
    assert store.take_notices() == ()


@pytest.mark.parametrize("content", [b"automatic = ", b"\xff\xfe\x00", b"[a]\n[a]\n"])
def test_a_damaged_file_is_set_aside(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    store = SettingsStore(path)
    assert store.load() == Settings()
    assert "settings.damaged.toml" in store.take_notices()[0]
    assert path.with_name("settings.damaged.toml").read_bytes() == content
    assert store.save(Settings(automatic=False))
    assert SettingsStore(path).load().automatic is False


def test_a_place_that_cannot_be_written_is_told_once_and_nothing_is_lost(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    store = SettingsStore(blocked / "settings.toml")
    assert store.load() == Settings()
    store.take_notices()
    assert not store.save(Settings(automatic=False))
    assert "could not be saved" in store.take_notices()[0]
    assert blocked.read_text() == "in the way"


def test_a_save_that_fails_half_way_leaves_the_old_file_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SettingsStore(path)
    store.save(Settings(model_id="old"))
    before = path.read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cxr_viewer.services.settings.os.fsync", full_disk)
    assert not store.save(Settings(model_id="new"))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path], "no half-written file is left behind"


def test_two_programs_do_not_undo_each_others_choices(path: Path) -> None:
    one, other = SettingsStore(path), SettingsStore(path)
    first, second = one.load(), other.load()
    one.save(replace(first, device="cpu"))
    other.save(replace(second, automatic=False))
    both = SettingsStore(path).load()
    assert (both.device, both.automatic) == ("cpu", False)


def rename_model(table: Table) -> Table:
    return {("model_id" if name == "model" else name): value for name, value in table.items()}


def test_an_older_file_is_migrated_step_by_step(path: Path) -> None:
    def to_upper(table: Table) -> Table:
        return {**table, "model_id": table["model_id"].upper()}

    path.parent.mkdir()
    path.write_text('schema = 1\nmodel = "old"\n')
    store = SettingsStore(path, migrations=(rename_model, to_upper))
    loaded = store.load()
    assert loaded.model_id == "OLD"
    store.save(replace(loaded, automatic=False))
    assert (saved(path)["schema"], saved(path)["model_id"]) == (3, "OLD")


def test_a_newer_file_is_read_as_far_as_known_and_keeps_its_number(path: Path) -> None:
    store = written(path, 'schema = 9\ndevice = "cpu"\nnew_thing = 1\n')
    loaded = store.load()
    assert loaded.device == "cpu"
    store.save(replace(loaded, automatic=False))
    assert (saved(path)["schema"], saved(path)["new_thing"]) == (9, 1)


@given(st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(Settings)]), st.from_type(bool | int | str)))
def test_no_file_keeps_the_program_from_starting(values: dict[str, bool | int | str]) -> None:
    settings = Settings()
    for name, value in values.items():
        try:
            settings = settings.with_preference(name, value)
        except ValueError:
            continue
    assert all(
        type(getattr(settings, f.name)) is type(getattr(Settings(), f.name)) for f in dataclasses.fields(Settings)
    )


def test_every_preference_the_session_saves_is_a_setting() -> None:
    state, settings = ViewerState(), Settings()
    events = (
        ev.ChooseModel("m"),
        ev.SetAutomatic(False),
        ev.SetDevice("cpu"),
        ev.SetMethod("LayerCAM"),
        ev.SetShowMaps(False),
        ev.SetShowSeen(True),
        ev.SetCornerText(CornerText.HIDDEN),
    )
    for event in events:
        state, effects = reduce(state, event)
        preferences = [effect for effect in effects if isinstance(effect, ev.SavePreference)]
        assert preferences
        for preference in preferences:
            settings = settings.with_preference(preference.name, preference.value)
    assert settings == Settings("m", False, "cpu", "LayerCAM", False, True, corner_text=CornerText.HIDDEN)


def test_a_preference_nobody_knows_is_a_defect() -> None:
    with pytest.raises(KeyError):
        Settings().with_preference("colour", "blue")


# ---------------------------------------------------------------- folders and the window


def test_one_variable_puts_everything_under_one_folder(tmp_path: Path) -> None:
    paths = Paths.of_user({"CXR_VIEWER_HOME": str(tmp_path)})
    files = (paths.settings_file, paths.library_file, paths.window_file, paths.audit_file, paths.log_file, paths.cache)
    assert all(file.is_relative_to(tmp_path) for file in files)
    assert len(set(files)) == len(files)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="XDG folders are those of Linux")
def test_otherwise_the_folders_are_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CONFIG", "DATA", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    paths = Paths.of_user({})
    assert paths.settings_file == tmp_path / "CONFIG" / "cxr-viewer" / "settings.toml"
    assert paths.library_file == tmp_path / "DATA" / "cxr-viewer" / "library.sqlite"
    assert not any((tmp_path / name).exists() for name in ("CONFIG", "DATA")), "asking makes no folders"


def test_the_windows_place_comes_back(tmp_path: Path) -> None:
    store = WindowStore(tmp_path / "state" / "window.toml")
    assert store.load() == WindowPlace()
    place = WindowPlace(bytes(range(256)), b"\x00layout\xff")
    assert store.save(place)
    assert store.load() == place


@pytest.mark.parametrize("text", ['geometry = "%%%"', "geometry = 3", "geometry = ", 'geometry = "Zm9v"'])
def test_a_bad_window_file_only_loses_the_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "window.toml"
    path.write_text(text)
    assert WindowStore(path).load() in (WindowPlace(), WindowPlace(b"foo"))
