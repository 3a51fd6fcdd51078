"""The study list: what is found stays, what vanishes is missing, and nothing of it stops the program."""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.image import View
from cxr_viewer.core.study import FileStamp, FoundImage, ReadStatus, StudyNode
from cxr_viewer.services.library import Library
from cxr_viewer.services.library_schema import APPLICATION_ID, MIGRATIONS, SAME_IDENTITY

MakeFound = Callable[..., FoundImage]
PNG = b"\x89PNG of a thumbnail"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "library.sqlite"


@pytest.fixture
def library(path: Path) -> Iterator[Library]:
    library = Library(path)
    yield library
    library.close()


def write_film(folder: Path, name: str, content: bytes = b"film") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def found_at(make_found: MakeFound, path: Path, **values: object) -> FoundImage:
    stat = path.stat()
    return make_found(path, size=stat.st_size, modified=stat.st_mtime_ns, **values)


def only(studies: tuple[StudyNode, ...]) -> StudyNode:
    (study,) = studies
    return study


# ---------------------------------------------------------------- what was found is there again


def test_the_real_films_are_there_again_after_a_restart(path: Path, found_films: tuple[FoundImage, ...]) -> None:
    first = Library(path)
    first.add(found_films)
    before = first.studies()
    first.close()
    second = Library(path)
    assert second.studies() == before
    second.close()
    images = [image for study in before for image in study.images]
    listed = {file for image in images for file in (image.path, *(path for path, _ in image.copies))}
    assert listed == {found.image.path for found in found_films}


def test_every_real_film_is_listed_under_its_own_patient(library: Library, found_films: tuple[FoundImage, ...]) -> None:
    library.add(found_films)
    owner = {
        file: study.patient.patient_id
        for study in library.studies()
        for image in study.images
        for file in (image.path, *(path for path, _ in image.copies))
    }
    assert owner == {found.image.path: found.patient.patient_id for found in found_films}


def test_nothing_a_header_says_is_lost(library: Library, make_found: MakeFound) -> None:
    found = make_found(
        "/films/a.dcm", view=View.LATERAL, laterality="L", body_part="CHEST", instance_number=3, acquired="20240305",
        frames=2, frame=1, problem="The date could not be read.",
    )  # fmt: skip
    study = only(library.add([found]))
    assert study.images == (found.image,)
    assert (study.patient, study.date, study.time) == (found.patient, found.study_date, found.study_time)
    assert (study.description, study.series[0].description) == ("CHEST PA", "")
    assert study.status is ReadStatus.NEW


def test_studies_come_newest_first_and_those_without_a_date_last(library: Library, make_found: MakeFound) -> None:
    dates = {"old": dt.date(2019, 12, 31), "none": None, "new": dt.date(2024, 3, 5)}
    library.add(make_found(f"/films/{uid}", study=uid, date=date) for uid, date in dates.items())
    assert [study.study_uid for study in library.studies()] == ["1.2.new", "1.2.old", "1.2.none"]


def test_series_and_images_stand_in_reading_order(library: Library, make_found: MakeFound) -> None:
    library.add(make_found(f"/films/{n}", instance_number=n) for n in (3, 1, 2))
    library.add([make_found("/films/unnumbered")])
    assert [image.instance_number for image in library.studies()[0].images] == [1, 2, 3, None]


def test_only_studies_that_changed_are_reported(library: Library, make_found: MakeFound) -> None:
    a, b = make_found("/films/a", study="1"), make_found("/films/b", study="2", patient="P2")
    assert len(library.add([a, b])) == 2
    assert library.add([a, b]) == ()
    changed = library.add([a, make_found("/films/c", study="2", patient="P2")])
    assert [study.study_uid for study in changed] == ["1.2.2"]
    assert len(only(changed).images) == 2


def test_a_file_is_unchanged_only_with_the_same_size_and_time(library: Library, make_found: MakeFound) -> None:
    library.add([make_found("/films/a", size=10, modified=20)])
    same, *others = [FileStamp(Path("/films/a"), "", *stamp) for stamp in ((10, 20), (10, 21), (11, 20))]
    ((image,),) = library.known([same])
    assert image == library.studies()[0].images[0]
    assert list(library.known([*others, FileStamp(Path("/films/b"), "", 10, 20)])) == [None, None, None]


# ---------------------------------------------------------------- the same film twice, and not quite


def test_copies_are_one_image_and_stand_in_for_each_other(
    library: Library, make_found: MakeFound, tmp_path: Path
) -> None:
    first, second = write_film(tmp_path, "a/film.dcm"), write_film(tmp_path, "b/film.dcm")
    library.add(found_at(make_found, film, sop="9") for film in (first, second))
    image = only(library.studies()).images[0]
    assert (image.path, image.copies, image.problem) == (first, ((second, ""),), "")
    first.unlink()
    image = only(library.refresh_missing()).images[0]
    assert (image.path, image.copies, image.missing) == (second, ((first, ""),), False)


def test_different_files_with_one_identity_both_stay_in_sight(library: Library, make_found: MakeFound) -> None:
    a, b = make_found("/films/a", sop="9", size=1), make_found("/films/b", sop="9", size=2)
    images = only(library.add([a, b])).images
    assert [image.path for image in images] == [Path("/films/a"), Path("/films/b")]
    assert {image.problem for image in images} == {SAME_IDENTITY}


def test_a_shared_study_uid_does_not_bring_two_patients_together(library: Library, make_found: MakeFound) -> None:
    library.add([make_found("/films/a", patient="P1"), make_found("/films/b", patient="P2", name="Other^Olga")])
    studies = library.studies()
    assert {(study.study_uid, study.patient.patient_id) for study in studies} == {("1.2.1", "P1"), ("1.2.1", "P2")}
    assert all(len(study.images) == 1 for study in studies)


def test_a_file_that_became_another_film_leaves_its_old_study(library: Library, make_found: MakeFound) -> None:
    library.add([make_found("/films/a", study="1", size=1)])
    changed = {study.study_uid: study for study in library.add([make_found("/films/a", study="2", size=2)])}
    assert changed["1.2.1"].series == ()
    assert len(changed["1.2.2"].images) == 1
    assert [study.study_uid for study in library.studies()] == ["1.2.2"]


def test_fewer_frames_in_a_rewritten_file_leave_no_ghosts(library: Library, make_found: MakeFound) -> None:
    library.add(make_found("/films/a", sop="9", frame=n, frames=3, size=3) for n in range(3))
    assert len(only(library.studies()).images) == 3
    assert len(only(library.add([make_found("/films/a", sop="8", size=1)])).images) == 1


# ---------------------------------------------------------------- read and new


def test_the_status_is_kept_and_a_new_film_makes_a_study_new_again(library: Library, make_found: MakeFound) -> None:
    library.add([make_found("/films/a")])
    assert only(library.set_status("1.2.1", ReadStatus.READ)).status is ReadStatus.READ
    assert library.set_status("1.2.1", ReadStatus.READ) == ()
    library.add([make_found("/films/a", modified=2)])
    assert only(library.studies()).status is ReadStatus.READ, "only the time of the file changed"
    assert only(library.add([make_found("/films/b")])).status is ReadStatus.NEW


def test_a_copy_of_a_film_that_was_read_is_no_news(library: Library, make_found: MakeFound) -> None:
    library.add([make_found("/films/a", sop="9")])
    library.set_status("1.2.1", ReadStatus.READ)
    assert only(library.add([make_found("/copies/a", sop="9")])).status is ReadStatus.READ


def test_removing_takes_a_study_off_the_list_and_nothing_off_the_disk(
    library: Library, make_found: MakeFound, tmp_path: Path
) -> None:
    film = write_film(tmp_path, "film.dcm")
    found = found_at(make_found, film)
    library.add([found])
    library.save_thumbnail(found.image, PNG)
    library.remove("1.2.1")
    assert library.studies() == ()
    assert library.study("1.2.1") is None
    assert library.thumbnail(found.image) is None
    assert film.read_bytes() == b"film"
    assert only(library.add([found])).images == (found.image,)


# ---------------------------------------------------------------- files that vanish


def test_a_vanished_file_is_missing_and_comes_back(library: Library, make_found: MakeFound, tmp_path: Path) -> None:
    film = write_film(tmp_path, "disk/film.dcm")
    library.add([found_at(make_found, film)])
    assert library.refresh_missing() == ()
    shutil.move(film.parent, tmp_path / "elsewhere")
    assert only(library.refresh_missing()).images[0].missing
    assert only(library.studies()).images[0].missing
    shutil.move(tmp_path / "elsewhere", film.parent)
    assert not only(library.refresh_missing([film])).images[0].missing


def test_a_new_scan_finds_a_missing_file_again(library: Library, make_found: MakeFound, tmp_path: Path) -> None:
    film = write_film(tmp_path, "film.dcm")
    found = found_at(make_found, film)
    library.add([found])
    film.unlink()
    library.refresh_missing()
    assert not only(library.add([found])).images[0].missing


def test_files_not_looked_at_for_longest_come_first(library: Library, make_found: MakeFound) -> None:
    library.add(make_found(f"/nowhere/{n}", study=str(n)) for n in range(4))
    seen = [study.study_uid for _ in range(2) for study in library.refresh_missing(limit=2)]
    assert sorted(seen) == [f"1.2.{n}" for n in range(4)]


# ---------------------------------------------------------------- thumbnails


@pytest.fixture
def film(library: Library, make_found: MakeFound, tmp_path: Path) -> FoundImage:
    found = found_at(make_found, write_film(tmp_path, "film.dcm"))
    library.add([found])
    return found


def test_a_thumbnail_is_kept(library: Library, film: FoundImage) -> None:
    assert library.thumbnail(film.image) is None
    library.save_thumbnail(film.image, PNG)
    assert library.thumbnail(film.image) == PNG


def test_a_thumbnail_dies_with_the_content_of_its_file(
    library: Library, film: FoundImage, make_found: MakeFound
) -> None:
    library.save_thumbnail(film.image, PNG)
    film.image.path.write_bytes(b"another film")
    library.add([found_at(make_found, film.image.path)])
    assert library.thumbnail(film.image) is None


def test_no_thumbnail_is_kept_of_a_file_the_list_does_not_know(library: Library, film: FoundImage) -> None:
    film.image.path.write_bytes(b"changed since the scan")
    library.save_thumbnail(film.image, PNG)
    assert library.thumbnail(film.image) is None


def test_thumbnails_of_two_films_with_one_identity_stay_apart(
    library: Library, make_found: MakeFound, tmp_path: Path
) -> None:
    films = [
        found_at(make_found, write_film(tmp_path, name, name.encode() * size), sop="9")
        for size, name in enumerate("ab", 1)
    ]
    library.add(films)
    for found in films:
        library.save_thumbnail(found.image, found.image.path.name.encode())
    assert [library.thumbnail(found.image) for found in films] == [b"a", b"b"]


# ---------------------------------------------------------------- recent


def test_the_recent_list_is_short_and_newest_first(library: Library) -> None:
    for number in range(20):
        library.add_recent(Path(f"/films/{number}"))
    library.add_recent(Path("/films/18"))
    recent = library.recent()
    assert recent[:3] == (Path("/films/18"), Path("/films/19"), Path("/films/17"))
    assert len(recent) == 15
    library.clear_recent()
    assert library.recent() == ()


# ---------------------------------------------------------------- whatever a file may hold


ODD_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)  # lone surrogates and all


@given(name=ODD_TEXT, patient=ODD_TEXT, description=ODD_TEXT, number=st.integers())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_header_is_too_odd_to_be_listed(
    library: Library, make_found: MakeFound, name: str, patient: str, description: str, number: int
) -> None:
    found = make_found(
        "/films/a", name=name, patient=patient, description=description, instance_number=number, study="x"
    )
    library.remove("1.2.x")
    assert only(library.add([found])).images[0].path == found.image.path


def test_a_uid_that_is_no_text_costs_that_image_only(library: Library, make_found: MakeFound) -> None:
    library.add([make_found("/films/a", study="\udc80"), make_found("/films/b", study="2")])
    assert [study.study_uid for study in library.studies()] == ["1.2.2"]


@pytest.mark.skipif(sys.platform == "win32", reason="file names are text on Windows")
def test_a_file_name_that_is_no_text_is_kept(library: Library, make_found: MakeFound) -> None:
    odd = Path("/films/\udcff\udcfe.dcm")
    assert only(library.add([make_found(odd, sop="9")])).images[0].path == odd


# ---------------------------------------------------------------- many hands


def test_loader_threads_add_and_read_at_once(library: Library, make_found: MakeFound) -> None:
    faults: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for n in range(20):
                library.add([make_found(f"/films/{worker}/{n}", study=f"{worker}.{n}")])
                library.studies()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert len(library.studies()) == 80


_SECOND_PROGRAM = """
import sys
from pathlib import Path
from cxr_viewer.services.library import Library
library = Library(Path(sys.argv[1]))
for number in range(200):
    library.add_recent(Path(f"/films/{number}"))
library.close()
"""


def test_two_programs_share_one_list(library: Library, path: Path, make_found: MakeFound, repository: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", _SECOND_PROGRAM, str(path)], cwd=repository)
    for number in range(50):
        library.add([make_found(f"/films/{number}", study=str(number))])
    assert other.wait() == 0
    assert len(library.studies()) == 50
    assert library.recent()[0] == Path("/films/199")
    assert library.take_notices() == ()


# ---------------------------------------------------------------- faults


def test_a_damaged_list_is_set_aside_and_a_new_one_begun(path: Path, make_found: MakeFound) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 1000)
    library = Library(path)
    assert library.studies() == ()
    (notice,) = library.take_notices()
    assert "set aside" in notice
    assert library.take_notices() == ()
    library.add([make_found("/films/a")])
    library.close()
    (kept,) = path.parent.glob("library.damaged-*.sqlite")
    assert kept.read_bytes().startswith(b"this is no database")


def test_damage_that_shows_while_running_costs_no_more(path: Path, make_found: MakeFound) -> None:
    library = Library(path)
    library.add(make_found(f"/films/{n}", study=str(n), description="x" * 900) for n in range(200))
    library.close()
    library = Library(path)
    size = path.stat().st_size
    with path.open("r+b") as file:  # everything but the first page
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    assert library.studies() == ()
    assert only(library.add([make_found("/films/new")])).images
    assert len(library.take_notices()) == 1
    library.close()


def test_another_programs_database_is_set_aside_not_used(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.commit()
    connection.close()
    library = Library(path)
    assert library.studies() == ()
    assert "set aside" in library.take_notices()[0]
    library.close()


def test_a_list_of_a_newer_program_is_left_alone(path: Path, make_found: MakeFound) -> None:
    Library(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    library = Library(path)
    library.add([make_found("/films/a")])
    assert len(library.studies()) == 1
    assert "newer version" in library.take_notices()[0]
    library.close()
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_costs_only_the_memory(tmp_path: Path, make_found: MakeFound) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    library = Library(blocked / "library.sqlite")
    library.add([make_found("/films/a")])
    assert len(library.studies()) == 1
    (notice,) = library.take_notices()
    assert "forgotten when the program ends" in notice
    library.close()


def test_the_file_says_whose_it_is_and_only_the_owner_reads_it(library: Library, path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o077 == 0


def test_an_older_list_is_brought_up_to_date(
    path: Path, monkeypatch: pytest.MonkeyPatch, make_found: MakeFound
) -> None:
    library = Library(path)
    library.add([make_found("/films/a")])
    library.close()
    later = (*MIGRATIONS, ("ALTER TABLE study ADD COLUMN folder TEXT",))
    monkeypatch.setattr("cxr_viewer.services.library_schema.MIGRATIONS", later)
    library = Library(path)
    assert len(library.studies()) == 1
    library.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(later),)
    assert connection.execute("SELECT folder FROM study").fetchall() == [(None,)]
    connection.close()


def test_a_closed_list_answers_with_a_sentence(library: Library) -> None:
    library.close()
    library.close()
    with pytest.raises(CxrError) as caught:
        library.studies()
    assert caught.value.summary == "The study list is closed."


def test_asking_by_uid_and_by_file(library: Library, make_found: MakeFound) -> None:
    library.add(make_found(f"/films/{n}", study=str(n)) for n in range(1200))
    assert only(library.studies_with([Path("/films/7")])).study_uid == "1.2.7"
    assert len(library.studies_of([f"1.2.{n}" for n in range(1200)])) == 1200
    study = library.study("1.2.3")
    assert study is not None
    assert study.images[0].path == Path("/films/3")
