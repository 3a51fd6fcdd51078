"""What the file lays over its film, on screen: padding, shutter, graphics, colour; and films that are not whole yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QMainWindow, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.geometry import Orientation, Point
from cxr_viewer.core.image import Caution, OverlayPlane, Radiograph, Shutter, VoiWindow, WindowFunction
from cxr_viewer.core.study import ImageNode
from cxr_viewer.imaging.graphics import Graphics
from cxr_viewer.imaging.render import oriented, render_picture
from cxr_viewer.outputs.png import PngReportWriter
from cxr_viewer.services import events as ev
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import CornerText, Pane, PaneStatus, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.action_states import show_on_actions
from cxr_viewer.ui.actions import SPECS, Actions
from cxr_viewer.ui.canvas import CanvasGrid
from cxr_viewer.ui.commands import FilmCommands
from cxr_viewer.ui.corner_text import cursor_text, notes
from cxr_viewer.ui.exporter import Exporter
from cxr_viewer.ui.file_commands import FileCommands
from cxr_viewer.ui.film_layer import FilmLayer
from cxr_viewer.ui.graphics_layer import graphics_pixels
from cxr_viewer.ui.placement import Frame, place

CANON = "dx_canon_pa_mono1_12bit_j2klossless.dcm"
RealFilm = Callable[[str], Radiograph]
MakeFilm = Callable[..., Radiograph]
Pixels = Callable[[QWidget], NDArray[np.uint8]]
GREEN = np.array(QColor(theme.GRAPHICS).getRgb()[:3])


@pytest.fixture(scope="session")
def layered(real_film: RealFilm) -> Radiograph:
    """A real film with a round field of padding, a shutter of two shapes, and graphics."""
    film = real_film(CANON)
    y, x = np.mgrid[: film.rows, : film.columns]
    stored = film.stored.copy()
    stored[np.hypot(x - film.columns / 2, y - film.rows / 2) > 0.52 * film.columns] = 0
    bits = np.zeros((film.rows, film.columns), np.uint8)
    bits[700, :] = bits[:, 900] = bits[5::40, 3::50] = 1
    shutter = Shutter(rectangle=(100, 60, 1900, 2000), polygon=((0, 0), (2000, 100), (1900, 2100), (50, 2128)), grey=40)
    return replace(film, stored=stored, padding=(0, 0), shutter=shutter, overlays=(OverlayPlane(bits),))


# ---------------------------------------------------------------- pixels of a widget


@pytest.mark.parametrize(("padding", "shutter"), [(True, True), (True, False), (False, True), (False, False)])
def test_one_to_one_padding_and_shutter_lie_on_their_own_pixels(
    layered: Radiograph, orientation: Orientation, padding: bool, shutter: bool
) -> None:
    width, height = orientation.display_size(layered.rows, layered.columns)
    display = DisplayState(orientation=orientation, zoom=1.0, center=Point(0.1 * width, 0.13 * height))
    placement = place(layered, display, Frame(401, 380))
    voi = layered.voi[0]
    area, grey = FilmLayer(layered).render(placement, voi, False, padding=padding, shutter=shutter)
    whole = oriented(render_picture(layered, voi, False, mask_padding=padding, shutter=shutter), orientation)
    left, top, _, _ = placement.film_on_widget()
    x, y = area.x - round(left), area.y - round(top)
    np.testing.assert_array_equal(grey, whole[y : y + area.height, x : x + area.width])


def test_on_a_fine_screen_every_layer_lies_on_the_pixels_of_the_device(
    layered: Radiograph, orientation: Orientation
) -> None:
    display = DisplayState(orientation=orientation, zoom=0.5, center=Point(400, 300))
    placement = place(layered, display, Frame(200, 180, device_ratio=2.0))
    area, grey = FilmLayer(layered).render(placement, layered.voi[0], False)
    whole = oriented(render_picture(layered, layered.voi[0], False), orientation)
    left, top = (round(2 * edge) for edge in placement.film_on_widget()[:2])
    part = slice(area.y - top, area.y - top + area.height), slice(area.x - left, area.x - left + area.width)
    np.testing.assert_array_equal(grey, whole[part])
    _, pixels = graphics_pixels(Graphics(layered), layered, placement)
    np.testing.assert_array_equal(pixels[..., 3] == 255, oriented(layered.overlays[0].bits, orientation)[part] == 1)


@pytest.mark.parametrize("zoom", [0.07, 0.25, 0.43, 0.8, 1.7, 3.0])
@pytest.mark.parametrize("inverted", [False, True])
def test_the_border_of_the_field_has_no_fringe_at_any_zoom(make_film: MakeFilm, zoom: float, inverted: bool) -> None:
    y, x = np.mgrid[:500, :400]
    stored = np.where(np.hypot(x - 200, y - 250) < 180, 1000, 4095).astype(np.uint16)
    film = make_film(stored, padding=(4095, 4095))
    window = VoiWindow(1000, 2000)
    placement = place(film, DisplayState(zoom=zoom, center=Point(200, 100)), Frame(500, 600))
    _, grey = FilmLayer(film).render(placement, window, inverted)
    anatomy = render_picture(film, window, inverted)[250, 200]
    assert grey.max() == anatomy
    assert grey.min() == 0
    _, shown = FilmLayer(film).render(placement, window, inverted, padding=False)
    assert shown.max() == (anatomy if inverted else 255)


def test_a_window_drag_does_not_look_at_the_film_again(layered: Radiograph, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = FilmLayer(layered)
    placement = place(layered, DisplayState(), Frame(300, 300))
    _, first = layer.render(placement, VoiWindow(2000, 3000), False)
    monkeypatch.setattr(FilmLayer, "_look", None)
    _, second = layer.render(placement, VoiWindow(1000, 500), False)
    assert (first != second).any()


@pytest.mark.parametrize("zoom", [0.13, 0.4, 1.0, 2.5])
def test_graphics_lie_on_the_film_however_it_is_turned(
    layered: Radiograph, orientation: Orientation, zoom: float
) -> None:
    """Every pixel of the graphics in sight is drawn where the placement says that it is, or right beside it."""
    display = DisplayState(orientation=orientation, zoom=zoom)
    placement = place(layered, display, Frame(500, 460))
    area, pixels = graphics_pixels(Graphics(layered), layered, placement)
    ink = pixels[..., 3] == 255
    ys, xs = np.nonzero(layered.overlays[0].bits)
    m = placement.matrix
    at_x = np.floor(m[0, 0] * (xs + 0.5) + m[0, 1] * (ys + 0.5) + m[0, 2]).astype(int) - area.x
    at_y = np.floor(m[1, 0] * (xs + 0.5) + m[1, 1] * (ys + 0.5) + m[1, 2]).astype(int) - area.y
    inside = (at_x >= 0) & (at_x < area.width) & (at_y >= 0) & (at_y < area.height)
    assert inside.any()
    near = ink.copy()
    if zoom < 0.5:
        for shift in (-1, 1):
            near |= np.roll(ink, shift, 0) | np.roll(ink, shift, 1)
    assert near[at_y[inside], at_x[inside]].all()
    if 0.5 <= zoom <= 1:
        expected = np.zeros_like(ink)
        expected[at_y[inside], at_x[inside]] = True
        np.testing.assert_array_equal(ink, expected)


# ---------------------------------------------------------------- the pane


@pytest.fixture
def session(canvas: CanvasGrid, new_session: Any) -> Any:
    made = new_session(canvas)
    made.dispatch(ev.SetCornerText(CornerText.HIDDEN))
    return made


def green(picture: NDArray[np.uint8]) -> int:
    return int((np.abs(picture.astype(int) - GREEN).max(axis=2) <= 2).sum())


def test_graphics_are_drawn_and_switched_off(
    canvas: CanvasGrid, session: Any, layered: Radiograph, screen_pixels: Pixels
) -> None:
    port = canvas.view(0).viewport()
    session.open(replace(layered, overlays=()))
    assert green(screen_pixels(port)) == 0
    session.open(layered)
    shown = screen_pixels(port)
    assert green(shown) > 600  # a line across and one down
    session.dispatch(ev.SetLayers(0, overlays=False))
    hidden = screen_pixels(port)
    assert green(hidden) == 0
    session.dispatch(ev.SetLayers(0, overlays=True))
    np.testing.assert_array_equal(screen_pixels(port), shown)
    session.dispatch(ev.ClosePane(0))
    assert green(screen_pixels(port)) == 0


def test_the_shutter_is_switched_off(
    canvas: CanvasGrid, session: Any, layered: Radiograph, screen_pixels: Pixels
) -> None:
    port = canvas.view(0).viewport()
    session.open(replace(layered, padding=None, overlays=()))
    placement = canvas.view(0).placement
    assert placement is not None
    x, y = (int(v) for v in placement.to_widget(Point(50, 1000)))
    assert (screen_pixels(port)[y, x] == 40).all()
    session.dispatch(ev.SetInverted(0, True))
    assert (screen_pixels(port)[y, x] == 40).all()
    session.dispatch(ev.SetLayers(0, shutter=False))
    assert (screen_pixels(port)[y, x] != 40).any()


def test_a_colour_film_is_seen_in_its_colours(
    canvas: CanvasGrid, session: Any, make_film: MakeFilm, screen_pixels: Pixels
) -> None:
    rgb = np.zeros((100, 100, 3), np.uint8)
    rgb[..., 0], rgb[..., 1], rgb[..., 2] = 200, 90, 20
    voi = VoiWindow(127.5, 255, WindowFunction.LINEAR_EXACT, "As stored")
    session.open(make_film(np.full((100, 100), 115, np.uint8), rgb=rgb, colour=True, voi=(voi,)))
    port = canvas.view(0).viewport()
    middle = port.height() // 2, port.width() // 2
    assert screen_pixels(port)[middle].tolist() == [200, 90, 20]
    session.dispatch(ev.SetInverted(0, True))
    assert screen_pixels(port)[middle].tolist() == [55, 165, 235]


def test_one_to_one_a_colour_film_and_its_shutter_are_their_own_pixels(
    make_film: MakeFilm, orientation: Orientation
) -> None:
    rgb = np.random.default_rng(6).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    shutter = Shutter(circle=(50, 40, 35), grey=130)
    film = make_film(rgb[..., 1].copy(), rgb=rgb, shutter=shutter)
    placement = place(film, DisplayState(orientation=orientation, zoom=1.0), Frame(120, 120))
    window = VoiWindow(120, 200)
    for on in (True, False):
        _, shown = FilmLayer(film).render(placement, window, True, shutter=on)
        np.testing.assert_array_equal(shown, oriented(render_picture(film, window, True, shutter=on), orientation))


def test_the_hand_goes_on_when_a_preview_becomes_the_whole_film(
    canvas: CanvasGrid, session: Any, real_film: RealFilm, hand: Any, screen_pixels: Pixels
) -> None:
    film = real_film(CANON)
    port = canvas.view(0).viewport()
    load = session.begin_open(film)
    session.dispatch(ev.ImageLoaded(0, load.generation, replace(film, preview=True)))
    placement = canvas.view(0).placement
    hand.press(port, (200, 200))
    hand.move(port, (260, 200))
    session.dispatch(ev.ImageLoaded(0, load.generation, film))
    hand.move(port, (290, 200))
    hand.release(port, (290, 200))
    display = session.state.panes[0].display
    assert not session.state.panes[0].image.preview
    assert display.voi.width == pytest.approx(film.voi[0].width * 2 ** (90 / 200), rel=0.01)
    assert canvas.view(0).placement == placement


# ---------------------------------------------------------------- words and switches


def pane_of(film: Radiograph, **display: bool) -> Pane:
    return Pane(ImageNode(film.key, film.path), 1, PaneStatus.SHOWN, film, display=DisplayState(**display))


def words(pane: Pane) -> list[str]:
    return [line.text for line in notes(pane)]


def test_nothing_is_said_of_a_plain_film(real_film: RealFilm) -> None:
    assert words(pane_of(real_film(CANON))) == []


def test_what_is_hidden_is_said(layered: Radiograph) -> None:
    assert words(pane_of(layered)) == ["shutter on"]
    off = pane_of(layered, overlays=False, shutter=False, padding=False)
    assert words(off) == ["overlays off · shutter off · padding shown"]


def test_frames_and_previews_are_named(layered: Radiograph) -> None:
    key = replace(layered.key, frame=2)
    film = replace(layered, key=key, frames=12, preview=True, shutter=None)
    assert words(pane_of(film)) == ["Preview: the whole film is being read", "Frame 3 / 12"]


def test_notes_stay_when_texts_are_hidden(
    canvas: CanvasGrid, session: Any, layered: Radiograph, screen_pixels: Pixels
) -> None:
    film = replace(layered, cautions=(Caution("colour", "Something."),))
    session.open(film)
    with_note = screen_pixels(canvas.view(0).viewport())
    session.open(replace(film, shutter=None, stored=film.stored.copy()))
    session.dispatch(ev.SetLayers(0, overlays=False))
    without = screen_pixels(canvas.view(0).viewport())
    top_right = (slice(0, 40), slice(-110, None))
    assert (with_note[top_right] != without[top_right]).any()


def test_under_the_cursor_stands_a_colour(make_film: MakeFilm) -> None:
    rgb = np.zeros((4, 5, 3), np.uint8)
    rgb[2, 3] = 10, 20, 30
    film = make_film(np.zeros((4, 5), np.uint8), rgb=rgb)
    assert cursor_text(film, Point(3.5, 2.5)) == "(3, 2)  RGB 10 20 30"


class Desk:
    """What commands know of the session: its state, and where events go."""

    def __init__(self, state: ViewerState) -> None:
        self.state = state

    def dispatch(self, event: ev.Event) -> None:
        self.state, _ = reduce(self.state, event)


@pytest.mark.parametrize("layer", ["overlays", "shutter", "padding"])
def test_a_command_switches_its_layer_and_no_other_and_is_undone(layered: Radiograph, layer: str) -> None:
    desk: Any = Desk(ViewerState(panes=(pane_of(layered), *ViewerState().panes[1:])))
    commands = FilmCommands(desk, lambda _: 1.0, lambda: False).table()
    before = desk.state.pane.display
    commands[f"film_{layer}"]()
    assert desk.state.pane.display == replace(before, **{layer: False})
    commands["undo"]()
    assert desk.state.pane.display == before
    commands[f"film_{layer}"]()
    commands[f"film_{layer}"]()
    assert desk.state.pane.display == before


def test_no_key_means_two_things() -> None:
    keys = [key for spec in SPECS for key in spec.keys]
    assert len(keys) == len(set(keys))


def test_a_preview_leaves_the_program_in_no_form(window: QMainWindow, layered: Radiograph, tmp_path: Path) -> None:
    pane = pane_of(replace(layered, preview=True))
    desk: Any = Desk(ViewerState(panes=(pane, *ViewerState().panes[1:])))
    exporter = Exporter(PngReportWriter)

    def grab(index: int) -> QImage:
        raise AssertionError(f"pane {index} was pictured")

    files = FileCommands(window, desk, exporter, lambda paths: None, grab, tmp_path, tmp_path / "log")
    try:
        for command in ("export_report", "save_view", "copy_view"):
            desk.state = replace(desk.state, notice=None)
            files.table()[command]()
            assert "lower resolution" in desk.state.notice.text
            assert desk.state.notice.hint
    finally:
        exporter.close()


@pytest.fixture
def window(qtbot: QtBot) -> QMainWindow:
    made = QMainWindow()
    qtbot.addWidget(made)
    return made


@pytest.fixture
def actions(window: QMainWindow) -> Actions:
    return Actions(window, window, {spec.name: lambda: None for spec in SPECS})


@pytest.mark.parametrize("layer", ["overlays", "shutter", "padding"])
def test_a_switch_is_there_for_what_the_film_has(actions: Actions, layered: Radiograph, layer: str) -> None:
    switch = actions[f"film_{layer}"]
    lacking: dict[str, Any] = {"overlays": (), "shutter": None, "padding": None}
    plain = replace(layered, **{layer: lacking[layer]})
    for film, on, enabled, checked in (
        (layered, True, True, True),
        (layered, False, True, False),
        (plain, True, False, False),
    ):
        show_on_actions(actions, ViewerState(panes=(pane_of(film, **{layer: on}), *ViewerState().panes[1:])))
        assert switch.isEnabled() is enabled
        assert switch.isChecked() is checked
    show_on_actions(actions, ViewerState())
    assert not switch.isEnabled()
