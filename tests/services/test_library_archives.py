"""Films in archives in the study list: told apart by their place, gone when their archive is, read again with it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cxr_viewer.core.study import FileStamp, FoundImage, ImageNode, StudyNode, member_stamp_ns
from cxr_viewer.services.library import Library

MakeFound = Callable[..., FoundImage]
PNG = b"\x89PNG of a thumbnail"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path / "data" / "library.sqlite")
    yield library
    library.close()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "films.zip"
    path.write_bytes(b"an archive")
    return path


def found_in(make_found: MakeFound, archive: Path, member: str, **values: object) -> FoundImage:
    stat = archive.stat()
    fields = {"sop": f"1.2.3.{member}", "size": 500, "modified": member_stamp_ns(stat.st_size, stat.st_mtime_ns)}
    return make_found(archive, member=member, **(fields | values))


def images(library: Library) -> list[ImageNode]:
    return [image for study in library.studies() for image in study.images]


def missing(studies: tuple[StudyNode, ...]) -> dict[str, bool]:
    return {image.member: image.missing for study in studies for image in study.images}


def test_films_of_one_archive_are_there_again(library: Library, archive: Path, make_found: MakeFound) -> None:
    library.add([found_in(make_found, archive, member) for member in ("0", "3", "3/0")])
    assert [(image.path, image.member) for image in images(library)] == [
        (archive, "0"),
        (archive, "3"),
        (archive, "3/0"),
    ]
    (study,) = library.studies_with([archive])
    assert len(study.images) == 3
    assert library.add([found_in(make_found, archive, "3")]) == ()


def test_a_film_and_its_copy_in_an_archive_are_one(
    library: Library, archive: Path, tmp_path: Path, make_found: MakeFound
) -> None:
    plain = tmp_path / "film.dcm"
    plain.write_bytes(b"f" * 500)
    library.add([make_found(plain, sop="1.2.3.0", size=500, modified=plain.stat().st_mtime_ns)])
    library.add([found_in(make_found, archive, "0")])
    (image,) = images(library)
    assert (image.path, image.member, image.copies) == (plain, "", ((archive, "0"),))
    assert image.is_file(archive, "0")
    assert not image.is_file(archive, "1")  # another film of the same archive is no copy
    plain.unlink()
    library.refresh_missing()
    (image,) = images(library)
    assert (image.path, image.member, image.missing) == (archive, "0", False)


def test_known_members_are_not_read_again_while_the_archive_stays(
    library: Library, archive: Path, make_found: MakeFound
) -> None:
    found = found_in(make_found, archive, "2")
    library.add([found])
    same = FileStamp(archive, "2", None, found.modified_ns)
    changed = FileStamp(archive, "2", None, found.modified_ns + 1)
    other = FileStamp(archive, "22", None, found.modified_ns)
    assert library.known([changed, other]) == (None, None)
    (known,) = library.known([same])
    assert isinstance(known, tuple)
    assert [image.member for image in known] == ["2"]


def test_films_vanish_with_their_archive_and_return(library: Library, archive: Path, make_found: MakeFound) -> None:
    library.add([found_in(make_found, archive, member) for member in ("0", "1")])
    aside = archive.with_name("aside")
    shutil.move(archive, aside)
    assert missing(library.refresh_missing([archive])) == {"0": True, "1": True}
    shutil.move(aside, archive)
    assert missing(library.refresh_missing()) == {"0": False, "1": False}


def test_a_film_its_archive_no_longer_holds(library: Library, archive: Path, make_found: MakeFound) -> None:
    """Until the archive is scanned again nobody knows what the change was."""
    library.add([found_in(make_found, archive, member) for member in ("0", "1")])
    archive.write_bytes(b"an archive with less in it")
    assert library.refresh_missing() == ()
    library.add([found_in(make_found, archive, "0")])
    assert missing(library.refresh_missing()) == {"0": False, "1": True}


def test_thumbnails_belong_to_members(library: Library, archive: Path, make_found: MakeFound) -> None:
    library.add([found_in(make_found, archive, member) for member in ("0", "1")])
    first, second = images(library)
    library.save_thumbnail(first, PNG)
    assert (library.thumbnail(first), library.thumbnail(second)) == (PNG, None)
    archive.write_bytes(b"another archive")
    library.save_thumbnail(second, PNG)  # it is of another archive than the list knows
    assert library.thumbnail(second) is None
    library.add([found_in(make_found, archive, "0")])
    assert library.thumbnail(first) is None


def test_a_list_of_an_earlier_program_is_read_on(tmp_path: Path, archive: Path, make_found: MakeFound) -> None:
    """Paths without a member are stored as they always were."""
    path = tmp_path / "data" / "library.sqlite"
    library = Library(path)
    library.add([make_found(archive, sop="1.2.3")])
    library.close()
    with sqlite3.connect(path) as connection:
        ((stored,),) = connection.execute("SELECT path FROM image").fetchall()
    connection.close()
    assert stored == bytes(archive)
