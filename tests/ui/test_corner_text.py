from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pytest

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.geometry import Point
from cxr_viewer.core.image import Caution, PatientInfo, Radiograph, Rescale, StudyInfo, View, VoiTable, VoiWindow
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services.state import CornerText, Pane, PaneStatus
from cxr_viewer.ui.corner_text import Corners, caution_line, caution_tip, corners, cursor_text, scale_bar

FilmMaker = Callable[..., Radiograph]
PATIENT = PatientInfo("4711", "Doe^Jane", dt.date(1950, 3, 1), "F", 74.0)
STUDY = StudyInfo(dt.date(2024, 5, 6), "070812.5", "Chest of Jane", "PA", "A1", "Clinic")


@pytest.fixture
def film(make_film: FilmMaker) -> Radiograph:
    return make_film(
        np.arange(100, dtype=np.uint8).reshape(10, 10),
        patient=PATIENT,
        study=STUDY,
        view=View.PA,
        voi=(VoiWindow(50, 100, label="NORMAL"), VoiWindow(20, 10)),
        modality_lut=Rescale(2.0, -1000.0),
        units="OD",
    )


def written(film: Radiograph, how_much: CornerText = CornerText.FULL, **display: object) -> Corners:
    pane = Pane(
        ImageNode(film.key, film.path),
        1,
        PaneStatus.SHOWN,
        film,
        display=DisplayState(**display),  # type: ignore[arg-type]
    )
    return corners(pane, how_much, 0.384, Point(3.2, 4.9))


def texts(texts: Corners) -> str:
    return "\n".join(line.text for corner in (texts.top_left, texts.top_right, texts.bottom_left) for line in corner)


def test_who_and_when_and_how(film: Radiograph) -> None:
    shown = written(film, voi=film.voi[0], voi_index=0, inverted=True)
    assert [line.text for line in shown.top_left] == ["Doe, Jane", "ID 4711", "born 1950-03-01 · 74 years · female"]
    assert [line.text for line in shown.top_right] == ["2024-05-06 07:08", "Chest of Jane", "PA · DX"]
    assert [line.text for line in shown.bottom_left] == [
        "(3, 4)  -914 OD",
        "C 50  W 100",
        "NORMAL, from the file, 1 of 2",
        "zoom 38\N{NO-BREAK SPACE}%, fitted · inverted",
    ]


def test_four_lines_at_most(film: Radiograph) -> None:
    shown = written(film)
    assert max(map(len, (shown.top_left, shown.top_right, shown.bottom_left))) <= 4


def test_without_identity_nothing_leads_to_the_patient(film: Radiograph) -> None:
    shown = texts(written(film, CornerText.NO_IDENTITY))
    for secret in ("Doe", "Jane", "4711", "1950", "05-06", "Clinic", "A1"):
        assert secret not in shown
    assert "74 years · female" in shown
    assert "2024" in shown


def test_hidden_is_hidden(film: Radiograph) -> None:
    assert written(film, CornerText.HIDDEN) == Corners()


def test_a_dicom_film_without_a_name_says_so_and_a_picture_does_not(make_film: FilmMaker) -> None:
    stored = np.zeros((4, 4), np.uint8)
    assert "no patient name" in texts(written(make_film(stored)))
    assert "no study date" in texts(written(make_film(stored)))
    assert "no " not in texts(written(make_film(stored, is_dicom=False)))


def test_a_table_and_where_it_comes_from_stand_on_lines_of_their_own(make_film: FilmMaker) -> None:
    table = VoiTable(0, np.arange(256, dtype=np.uint16), 8, "HARDER")
    film = make_film(np.zeros((4, 4), np.uint8), voi=(table,))
    lines = [line.text for line in written(film, voi=table, voi_index=0).bottom_left]
    assert lines[:2] == ["lookup table “HARDER”", "from the file"]


def test_what_no_file_names_is_not_said_to_be_from_the_file(make_film: FilmMaker) -> None:
    own = (VoiWindow(128, 256, label="Full range"),)
    grey, rgb = np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8)
    picture, colours = make_film(grey, voi=own, is_dicom=False), make_film(grey, voi=own, rgb=rgb, photometric="RGB")
    assert "from the file" in texts(written(make_film(grey, voi=own), voi=own[0], voi_index=0))
    for film in (picture, colours):
        assert "from the file" not in texts(written(film, voi=own[0], voi_index=0))


def test_a_hand_set_zoom_is_not_called_fitted(film: Radiograph) -> None:
    assert "fitted" not in texts(written(film, zoom=0.384))


@pytest.mark.parametrize(
    ("units", "expected"), [("HU", "(0, 0)  -1000 HU"), ("US", "(0, 0)  -1000"), ("", "(0, 0)  -1000")]
)
def test_the_value_is_in_modality_units(make_film: FilmMaker, units: str, expected: str) -> None:
    film = make_film(np.zeros((4, 4), np.uint8), modality_lut=Rescale(1.0, -1000.0), units=units)
    assert cursor_text(film, Point(0.0, 0.99)) == expected


def test_beside_the_film_there_is_no_value(film: Radiograph) -> None:
    assert cursor_text(film, Point(-0.01, 4)) == ""
    assert cursor_text(film, Point(10.0, 4)) == ""
    assert cursor_text(film, None) == ""


def test_a_name_that_would_disguise_the_line_is_made_plain(make_film: FilmMaker) -> None:
    film = make_film(np.zeros((4, 4), np.uint8), patient=PatientInfo("1\n2", "Doe\u202e^Jane"))
    first, second, *_ = written(film).top_left
    assert first.text == "Doe, Jane"
    assert second.text == "ID 1 2"


@pytest.mark.parametrize(
    ("mm_per_pixel", "longest", "text", "length"),
    [(0.5, 130, "5 cm", 100), (0.1, 130, "1 cm", 100), (0.004, 130, "0.5 mm", 125), (2.0, 110, "20 cm", 100)],
)
def test_the_scale_bar_is_the_longest_round_length(
    mm_per_pixel: float, longest: float, text: str, length: float
) -> None:
    bar = scale_bar(mm_per_pixel, longest)
    assert (bar.text, bar.length_px) == (text, pytest.approx(length))


def test_the_badge_counts_and_the_tip_names(make_film: FilmMaker) -> None:
    stored = np.zeros((4, 4), np.uint8)
    assert caution_line(make_film(stored)) == ()
    one, two = Caution("a", "One."), Caution("b", "Two.", "Rows (0028,0010)")
    assert "1 caution" in caution_line(make_film(stored, cautions=(one,)))[0].text
    both = make_film(stored, cautions=(one, two))
    assert "2 cautions" in caution_line(both)[0].text
    torn = make_film(stored, cautions=(one, Caution("truncated", "The file is truncated.")))
    assert [line.text for line in caution_line(torn)] == ["incomplete or damaged", "\N{WARNING SIGN} 2 cautions"]
    assert caution_tip(both) == "One.\nTwo. [Rows (0028,0010)]"
