"""Colours, sizes and the style sheet: dark, quiet, one accent; red only for what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FILM_BACKGROUND: Final = "#000000"
WINDOW: Final = "#1b1e22"
PANEL: Final = "#22262b"
RAISED: Final = "#2c3138"
LINE: Final = "#3a4048"
TEXT: Final = "#e6e8ea"
MUTED: Final = "#a3abb5"
DISABLED: Final = "#7d8690"
ACCENT: Final = "#5aa9e6"
ACCENT_DARK: Final = "#2b5f8a"
CAUTION: Final = "#e0b050"
ERROR: Final = "#e5655e"
MARK: Final = "#ffd866"
CALLIPER: Final = "#93dce8"
MARK_SELECTED: Final = "#5aa9e6"
GRAPHICS: Final = "#7ce38b"
FILM_TEXT: Final = "#d7dde3"

SPACE_PX: Final = 8

_STYLE_SHEET: Final = f"""
* {{ font-size: 10pt; color: {TEXT}; }}
QMainWindow, QDialog, QMessageBox {{ background: {WINDOW}; }}
QWidget {{ background: {PANEL}; selection-background-color: {ACCENT_DARK}; selection-color: {TEXT}; }}
QToolTip {{ background: {RAISED}; color: {TEXT}; border: 1px solid {LINE}; padding: 4px; }}
QLabel {{ background: transparent; }}
QLabel[role="muted"] {{ color: {MUTED}; }}
QLabel[role="title"] {{ font-weight: 600; }}
QLabel[role="caution"] {{ color: {CAUTION}; }}
QLabel[role="error"] {{ color: {ERROR}; }}
QMenuBar, QMenu, QToolBar, QStatusBar {{ background: {WINDOW}; border: none; }}
QMenu {{ border: 1px solid {LINE}; padding: 4px; }}
QMenu::item {{ padding: 5px 28px 5px 22px; border-radius: 3px; }}
QMenu::item:selected, QMenuBar::item:selected {{ background: {ACCENT_DARK}; }}
QMenu::item:disabled {{ color: {DISABLED}; }}
QMenu::separator {{ height: 1px; background: {LINE}; margin: 4px 8px; }}
QToolBar {{ spacing: 1px; padding: 3px 4px; border-bottom: 1px solid {LINE}; }}
QToolBar::separator {{ width: 1px; background: {LINE}; margin: 5px 4px; }}
QToolButton {{ background: transparent; border: 1px solid transparent; border-radius: 4px; padding: 4px 5px; }}
QToolButton:hover {{ background: {RAISED}; }}
QToolButton:checked {{ background: {ACCENT_DARK}; border-color: {ACCENT}; }}
QToolButton:focus, QPushButton:focus, QComboBox:focus, QLineEdit:focus, QAbstractSpinBox:focus,
QPlainTextEdit:focus {{ border-color: {ACCENT}; }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QPushButton {{ background: {RAISED}; border: 1px solid {LINE}; border-radius: 4px; padding: 4px 12px; }}
QPushButton:hover {{ border-color: {MUTED}; }}
QPushButton:pressed, QPushButton:checked {{ background: {ACCENT_DARK}; border-color: {ACCENT}; }}
QPushButton:disabled, QToolButton:disabled, QLabel:disabled, QCheckBox:disabled {{ color: {DISABLED}; }}
QLineEdit, QAbstractSpinBox, QComboBox, QPlainTextEdit {{
    background: {WINDOW}; border: 1px solid {LINE}; border-radius: 4px; padding: 3px 6px; }}
QComboBox QAbstractItemView {{ background: {RAISED}; border: 1px solid {LINE}; }}
QComboBox QAbstractItemView::item:selected {{ background: {ACCENT_DARK}; }}
QComboBox QAbstractItemView::item:disabled {{ color: {DISABLED}; }}
QCheckBox, QRadioButton {{ background: transparent; spacing: 6px; }}
QCheckBox::indicator {{ width: 14px; height: 14px; border: 1px solid {MUTED}; border-radius: 3px;
    background: {WINDOW}; }}
QCheckBox::indicator:hover, QCheckBox::indicator:focus {{ border-color: {ACCENT}; }}
QCheckBox::indicator:disabled {{ border-color: {LINE}; }}
QCheckBox::indicator:checked {{ background: {ACCENT_DARK}; border-color: {ACCENT}; image: url({{icons}}/check.svg); }}
QRadioButton::indicator {{ width: 14px; height: 14px; border: 1px solid {MUTED}; border-radius: 8px;
    background: {WINDOW}; }}
QRadioButton::indicator:hover, QRadioButton::indicator:focus {{ border-color: {ACCENT}; }}
QRadioButton::indicator:checked {{ border-color: {ACCENT}; background: qradialgradient(cx:0.5, cy:0.5, radius:0.5,
    fx:0.5, fy:0.5, stop:0 {ACCENT}, stop:0.5 {ACCENT}, stop:0.6 {WINDOW}, stop:1 {WINDOW}); }}
QComboBox {{ padding-right: 22px; }}
QComboBox::drop-down {{ border: none; width: 20px; }}
QComboBox::down-arrow {{ image: url({{icons}}/down.svg); width: 10px; height: 10px; }}
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ subcontrol-origin: border; width: 0; border: 0; }}
QAbstractSpinBox QLineEdit {{ border: none; padding: 0; background: transparent; }}
QToolBarExtension {{ qproperty-icon: url({{icons}}/more.svg); background: {RAISED}; padding: 2px; }}
QMenu::indicator {{ width: 12px; height: 12px; left: 5px; }}
QMenu::indicator:checked {{ image: url({{icons}}/check.svg); }}
QDockWidget {{ titlebar-close-icon: url({{icons}}/close.svg); }}
QDockWidget::title {{ background: {WINDOW}; padding: 6px 8px; border-bottom: 1px solid {LINE}; }}
QTabWidget::pane {{ border: none; }}
QTabBar {{ background: {WINDOW}; }}
QTabBar::tab {{ background: {WINDOW}; color: {MUTED}; padding: 5px 10px; border: none;
    border-bottom: 2px solid transparent; }}
QTabBar::tab:selected {{ color: {TEXT}; border-bottom-color: {ACCENT}; }}
QTabBar::tab:hover, QTabBar::tab:focus {{ color: {TEXT}; background: {RAISED}; }}
QTextEdit {{ background: {PANEL}; border: none; }}
QTreeView, QListView, QTableView {{
    background: {PANEL}; border: none; outline: 0; alternate-background-color: {PANEL}; }}
QTreeView::item, QListView::item {{ padding: 2px; }}
QTableView::item {{ padding: 0 3px; }}
QTreeView::item:selected, QListView::item:selected, QTableView::item:selected {{ background: {ACCENT_DARK}; }}
QTreeView::item:hover, QListView::item:hover {{ background: {RAISED}; }}
QHeaderView::section {{ background: {WINDOW}; border: none; border-bottom: 1px solid {LINE}; padding: 4px 6px;
    color: {MUTED}; }}
QScrollBar:vertical {{ background: {PANEL}; width: 12px; margin: 0; }}
QScrollBar:horizontal {{ background: {PANEL}; height: 12px; margin: 0; }}
QScrollBar::handle {{ background: {LINE}; border-radius: 4px; min-height: 28px; min-width: 28px; margin: 2px; }}
QScrollBar::handle:hover {{ background: {MUTED}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QProgressBar {{ background: {WINDOW}; border: 1px solid {LINE}; border-radius: 3px; text-align: center; }}
QProgressBar::chunk {{ background: {ACCENT_DARK}; }}
QSlider::groove:horizontal {{ height: 4px; background: {LINE}; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {ACCENT_DARK}; border-radius: 2px; }}
QSlider::handle:horizontal {{ width: 14px; margin: -6px 0; border-radius: 7px; background: {MUTED}; }}
QSlider::handle:horizontal:hover, QSlider::handle:horizontal:focus {{ background: {ACCENT}; }}
QGroupBox {{ border: none; margin-top: 18px; font-weight: 600; }}
QGroupBox::title {{ subcontrol-origin: margin; left: 0; color: {MUTED}; }}
QSplitter::handle {{ background: {LINE}; }}
"""


def style_sheet(icons: Path) -> str:
    """The style sheet; ``icons`` is the folder with the small drawings of arrows and ticks."""
    return _STYLE_SHEET.replace("{icons}", icons.as_posix())
