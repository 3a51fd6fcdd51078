"""Text is never cut off, never lost, and readable in every script there is a font for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from cxr_viewer.core.errors import ExportError
from cxr_viewer.outputs import text
from cxr_viewer.outputs.text import ELLIPSIS, Style, draw_text, elide, lacks_font, text_width, wrap

BLACK = Style(28, (0, 0, 0))
WORDS = st.text(alphabet="abcdefgh ijkXYZ.,0123\n", max_size=200)


def ink(words: str, style: Style = BLACK) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of what is drawn at (40, 40)."""
    page = Image.new("RGB", (1200, 160), (255, 255, 255))
    draw_text(ImageDraw.Draw(page), (40, 40), words, style)
    rows, columns = np.nonzero(np.asarray(page).min(axis=2) < 128)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


@pytest.mark.parametrize("words", ["Chest radiograph", "Иванов Пётр", "Łukasz Žižek Ñandú", "עברית", "87 % ≥ 42 %"])
def test_drawn_as_wide_as_measured(words: str) -> None:
    left, top, right, bottom = ink(words)
    assert right - left == pytest.approx(text_width(words, BLACK), abs=6)
    assert left >= 38
    assert top >= 38
    assert bottom <= 40 + BLACK.line_px + 4


@settings(max_examples=60, deadline=None)
@given(WORDS, st.integers(60, 600))
def test_wrapping_keeps_every_character_within_the_width(words: str, width: int) -> None:
    lines = wrap(words, BLACK, width)
    assert all(text_width(line, BLACK) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(words.split())


def test_a_word_that_is_too_long_is_broken() -> None:
    word = "x" * 200
    lines = wrap(word, BLACK, 300)
    assert len(lines) > 1
    assert "".join(lines) == word


def test_numbers_stay_with_their_units() -> None:
    words = "about 87\N{NO-BREAK SPACE}%"
    assert wrap(words, BLACK, text_width("about 87 ", BLACK)) == ["about", "87\N{NO-BREAK SPACE}%"]


@settings(max_examples=40, deadline=None)
@given(WORDS, st.integers(60, 600), st.integers(1, 4))
def test_what_is_left_out_is_marked(words: str, width: int, most: int) -> None:
    every, lines = wrap(words, BLACK, width), wrap(words, BLACK, width, most)
    assert len(lines) <= most
    assert all(text_width(line, BLACK) <= width for line in lines)
    assert lines == every if len(every) <= most else lines[-1].endswith(ELLIPSIS)


def test_eliding() -> None:
    assert elide("short", BLACK, 500) == "short"
    cut = elide("a rather long line of words", BLACK, 200)
    assert cut.endswith(ELLIPSIS)
    assert text_width(cut, BLACK) <= 200


def test_an_outline_is_drawn_in_its_own_colour() -> None:
    page = Image.new("RGB", (300, 80), (128, 128, 128))
    draw_text(ImageDraw.Draw(page), (10, 10), "12.3 mm", Style(32, (255, 216, 102), outline=(0, 0, 0)))
    colours = {colour for _, colour in page.getcolors(100_000) or []}
    assert {(255, 216, 102), (0, 0, 0)} <= colours


def test_a_character_without_a_font_is_told_and_still_drawn() -> None:
    unassigned = "\U00031355"  # in no block, so in no font
    assert lacks_font(f"A{unassigned}")
    assert not lacks_font("Müller-Łódź, Пётр 37°")
    assert ink(f"A{unassigned}")[2] > ink("A")[2]


def test_a_missing_font_is_an_export_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text._main_name.cache_clear()
    try:
        with pytest.raises(ExportError) as caught:
            text._main_name(False)
        assert caught.value.code == "no-font"
    finally:
        text._main_name.cache_clear()
