"""Every action of the program with its menu, words and keys, as data; and the QActions made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action.

    Attributes:
        name: key into the commands; stable, used by preferences later.
        menu: title of its menu; a leading ``-`` in ``text`` would be a separator, see ``separator``.
        keys: shortcuts as Qt writes them, the first is shown.
        on_film: the keys work only while the films have the focus (they mean something else in lists and fields).
        checkable: the action shows a state.
        separator: a line above it in the menu.
    """

    name: str
    menu: str
    text: str
    keys: tuple[str, ...] = ()
    tip: str = ""
    on_film: bool = False
    checkable: bool = False
    separator: bool = False


SPECS: tuple[ActionSpec, ...] = (
    ActionSpec("open_files", "File", "Open file\N{HORIZONTAL ELLIPSIS}", ("Ctrl+O",)),
    ActionSpec("open_folder", "File", "Open folder\N{HORIZONTAL ELLIPSIS}", ("Ctrl+Shift+O",)),
    ActionSpec("continue_scan", "File", "Continue scan", tip="Go on with scans that did not come to their end"),
    ActionSpec("open_sample", "File", "Open the sample study"),
    ActionSpec("export_report", "File", "Export report\N{HORIZONTAL ELLIPSIS}", ("Ctrl+E",), separator=True),
    ActionSpec("save_view", "File", "Save view as PNG\N{HORIZONTAL ELLIPSIS}", ("Ctrl+Shift+S",)),
    ActionSpec("copy_view", "File", "Copy view", ("Ctrl+C",), "Copy the film as it is on screen"),
    ActionSpec("mark_read", "File", "Study is read", ("Ctrl+M",), "Mark the study as read, or as new", checkable=True),
    ActionSpec("close_film", "File", "Close film", ("Ctrl+W",), separator=True),
    ActionSpec("quit", "File", "Quit", ("Ctrl+Q",), separator=True),
    ActionSpec("undo", "Edit", "Undo", ("Ctrl+Z",)),
    ActionSpec("redo", "Edit", "Redo", ("Ctrl+Y", "Ctrl+Shift+Z")),
    ActionSpec("delete_mark", "Edit", "Delete mark", ("Del", "Backspace"), on_film=True),
    ActionSpec("cancel", "Edit", "Cancel reading or tool, then reset film", ("Esc",), on_film=True),
    ActionSpec("find", "Edit", "Find a study", ("Ctrl+F",), separator=True),
    ActionSpec("layout_one", "View", "One film", ("Ctrl+1",), checkable=True),
    ActionSpec("layout_two", "View", "Two side by side", ("Ctrl+2",), checkable=True),
    ActionSpec("layout_four", "View", "Two by two", ("Ctrl+4",), checkable=True),
    ActionSpec("annotations", "View", "Texts: all, no names, none", ("Space",), on_film=True, separator=True),
    ActionSpec("show_marks", "View", "Show marks", ("Shift+Space",), on_film=True, checkable=True),
    ActionSpec(
        "film_overlays", "View", "Overlays of the file", ("O",), "Graphics the file draws over the film", checkable=True
    ),
    ActionSpec("film_shutter", "View", "Shutter", ("S",), "Cover what the file wants covered", checkable=True),
    ActionSpec("film_padding", "View", "Mask pixel padding", ("P",), "Show padding black", checkable=True),
    ActionSpec(
        "inspector",
        "View",
        "Why does it look like this?",
        ("F2",),
        "How the film came to look like this, and every attribute of its file",
        checkable=True,
    ),
    ActionSpec("full_screen", "View", "Full screen", ("F11",), checkable=True),
    ActionSpec("previous_image", "View", "Previous image", ("Left", "PgUp"), on_film=True, separator=True),
    ActionSpec("next_image", "View", "Next image", ("Right", "PgDown"), on_film=True),
    ActionSpec("previous_series", "View", "Previous series", ("Up",), on_film=True),
    ActionSpec("next_series", "View", "Next series", ("Down",), on_film=True),
    ActionSpec("previous_study", "View", "Previous study", ("Ctrl+Left", "Ctrl+Up"), on_film=True),
    ActionSpec("next_study", "View", "Next study", ("Ctrl+Right", "Ctrl+Down"), on_film=True),
    ActionSpec("window_auto", "Image", "Automatic window", ("0",)),
    ActionSpec("window_file", "Image", "The file's own window", ("1",)),
    ActionSpec("window_next", "Image", "The file's further windows", ("2",), "2 to 9 choose the second to ninth"),
    ActionSpec(
        "window_lungs", "Image", "Window over the lungs", ("Shift+W",), "Window over what lies inside the lungs"
    ),
    ActionSpec("invert", "Image", "Invert", ("I",), checkable=True),
    ActionSpec("invert_drag", "Image", "Dragging up darkens", checkable=True),
    ActionSpec("fit", "Image", "Fit to window", ("F", "="), separator=True),
    ActionSpec("actual_size", "Image", "One pixel to one pixel (1:1)", ("Shift+F",)),
    ActionSpec("zoom_lungs", "Image", "Zoom to lungs", ("Shift+Z",), "Show the lungs as large as the pane allows"),
    ActionSpec("zoom_in", "Image", "Zoom in", ("+", "Ctrl++")),
    ActionSpec("zoom_out", "Image", "Zoom out", ("-", "Ctrl+-")),
    ActionSpec("turn_right", "Image", "Turn right", ("R",), separator=True),
    ActionSpec("turn_left", "Image", "Turn left", ("Shift+R",)),
    ActionSpec("flip_horizontal", "Image", "Flip left to right", ("H",)),
    ActionSpec("flip_vertical", "Image", "Flip top to bottom", ("V",)),
    ActionSpec("reset", "Image", "Reset film", ("Shift+Esc",), separator=True),
    ActionSpec("next_frame", "Image", "Next frame", (".",), on_film=True, separator=True),
    ActionSpec("previous_frame", "Image", "Previous frame", (",",), on_film=True),
    ActionSpec("first_frame", "Image", "First frame", ("Home",), on_film=True),
    ActionSpec("last_frame", "Image", "Last frame", ("End",), on_film=True),
    ActionSpec("tool_window", "Tools", "Window", ("W",), "Left drag: right is wider, up is brighter", checkable=True),
    ActionSpec("tool_pan", "Tools", "Pan", ("M",), checkable=True),
    ActionSpec("tool_zoom", "Tools", "Zoom", ("Z",), checkable=True),
    ActionSpec("tool_length", "Tools", "Length", ("D", "L"), checkable=True, separator=True),
    ActionSpec("tool_angle", "Tools", "Angle", ("A",), checkable=True),
    ActionSpec("tool_arrow", "Tools", "Arrow", ("Q",), checkable=True),
    ActionSpec("tool_text", "Tools", "Text", ("T",), checkable=True),
    ActionSpec(
        "calibrate",
        "Tools",
        "Calibrate by this line\N{HORIZONTAL ELLIPSIS}",
        ("Ctrl+L",),
        "Measure the film by the selected line of known length",
        separator=True,
    ),
    ActionSpec("file_millimetres", "Tools", "Back to the file's millimetres"),
    ActionSpec("run_model", "Findings", "Run the model on this film", ("Ctrl+R",)),
    ActionSpec(
        "models",
        "Findings",
        "Models\N{HORIZONTAL ELLIPSIS}",
        ("Ctrl+Shift+M",),
        "Install, check and remove models, and read their cards",
    ),
    ActionSpec(
        "turn_upright",
        "Findings",
        "Turn upright",
        tip="Turn the film as the film check says, and have it looked at that way",
        separator=True,
    ),
    ActionSpec(
        "override",
        "Findings",
        "Score all the same",
        tip="Have the model score a film that the film check stops; this is recorded",
    ),
    ActionSpec(
        "callipers",
        "Findings",
        "Callipers",
        ("C",),
        "Draw the callipers of the cardiothoracic ratio",
        checkable=True,
        separator=True,
    ),
    ActionSpec(
        "next_calliper",
        "Findings",
        "Next end of the callipers",
        ("Shift+C",),
        "Choose the next end; the arrow keys move it, Shift moves it further, Esc lets it go",
    ),
    ActionSpec("reset_callipers", "Findings", "Reset callipers", tip="Back to where the anatomy model laid them"),
    ActionSpec(
        "lung_outlines",
        "Findings",
        "Outlines of lungs and heart",
        tip="Draw what the cardiothoracic ratio was measured from",
        checkable=True,
    ),
    ActionSpec(
        "heat_map", "Findings", "Heat map", ("G",), "Show where the model looked", checkable=True, separator=True
    ),
    ActionSpec("contour", "Findings", "Map as contour", ("Shift+G",), checkable=True),
    ActionSpec("next_finding", "Findings", "Next finding", ("Tab",), on_film=True),
    ActionSpec("previous_finding", "Findings", "Previous finding", ("Shift+Tab",), on_film=True),
    ActionSpec("less_opaque", "Findings", "Map fainter", ("[",)),
    ActionSpec("more_opaque", "Findings", "Map stronger", ("]",)),
    ActionSpec(
        "show_seen",
        "Findings",
        "What the model saw",
        ("E",),
        "Show what the model was given, and hatch what it was not",
        checkable=True,
        separator=True,
    ),
    ActionSpec(
        "compare_seen",
        "Findings",
        "Compare film and what the model saw",
        ("Shift+E",),
        "Film and input side by side",
    ),
    ActionSpec("show_maps", "Findings", "Show maps of called findings by themselves", checkable=True, separator=True),
    ActionSpec("keys", "Help", "Keys and mouse", ("?", "F1")),
    ActionSpec("show_log", "Help", "Show log"),
    ActionSpec("about", "Help", "About"),
)

MENUS = ("File", "Edit", "View", "Image", "Tools", "Findings", "Help")
_MNEMONICS = {"Findings": "Fi&ndings"}  # the others open by Alt and their first letter
VOI_KEYS = tuple(str(number) for number in range(3, 10))


class Actions:
    """The QActions by name. Shortcuts marked ``on_film`` belong to ``film``, all others to ``window``."""

    def __init__(self, window: QWidget, film: QWidget, commands: Mapping[str, Callable[[], object]]) -> None:
        self._by_name: dict[str, QAction] = {}
        for spec in SPECS:
            action = QAction(spec.text, window, checkable=spec.checkable)
            action.setShortcuts([QKeySequence(key) for key in spec.keys])
            keys = f" ({spec.keys[0]})" if spec.keys else ""
            action.setToolTip((spec.tip or spec.text.rstrip("\N{HORIZONTAL ELLIPSIS}")) + keys)
            if spec.on_film:
                action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                film.addAction(action)
            else:
                window.addAction(action)
            # triggered, not toggled: a state drawn from outside must not act
            action.triggered.connect(lambda _=False, name=spec.name: commands[name]())
            self._by_name[spec.name] = action

    def __getitem__(self, name: str) -> QAction:
        return self._by_name[name]

    def fill(self, bar: QMenuBar) -> dict[str, QMenu]:
        """Make the menus in ``bar``; returns them by title."""
        menus = {title: bar.addMenu(_MNEMONICS.get(title, f"&{title}")) for title in MENUS}
        for spec in SPECS:
            if spec.separator:
                menus[spec.menu].addSeparator()
            menus[spec.menu].addAction(self._by_name[spec.name])
        return menus
