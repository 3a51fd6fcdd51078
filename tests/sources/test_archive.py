"""ZIP archives: films are read out of them in memory, passwords open them, and those built to do harm are refused."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.errors import CancelledError, ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FoundImage, ScanBatch
from cxr_viewer.sources import archive, archive_entry, raster, unlocking
from cxr_viewer.sources.passwords import Passwords
from cxr_viewer.sources.place import Place
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner

ARCHIVES = Path(__file__).parent / "archives"
PASSWORD = "rib cage"
FILM_SIZE = 64
PROTECTED = sorted(path.name for path in ARCHIVES.glob("*.zip"))

Scan = Callable[..., list[ScanBatch]]
MakeZip = Callable[..., Path]


@pytest.fixture
def scan(sandbox: Sandbox) -> Scan:
    sandbox.passwords = Passwords()  # of an earlier test
    scanner = FolderScanner(sandbox)
    return lambda *paths: list(scanner.scan(paths, CancelToken()))


@pytest.fixture
def make_zip(tmp_path: Path) -> MakeZip:
    """``make_zip("a.zip", ("name", b"..."), ...)``: an archive in a folder of its own."""

    def make(name: str, *entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
        path = tmp_path / name
        path.write_bytes(zipped(*entries, method=method))
        return path

    return make


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    """Directories kept in memory by a test in this process are gone before the next."""
    yield
    archive._opened.clear()


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as opened:
        for name, data in entries:
            opened.writestr(name, data)
    return stream.getvalue()


def films(batches: list[ScanBatch]) -> list[FoundImage]:
    return [found for batch in batches for found in batch.found]


def notes(batches: list[ScanBatch]) -> list[str]:
    return [note for batch in batches for note in batch.notes]


def locked(batches: list[ScanBatch]) -> list[str]:
    return [path.name for batch in batches for path in batch.locked]


def gradient() -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.add.outer(np.arange(FILM_SIZE), np.arange(FILM_SIZE)) * 32


def fault(path: Path, member: str = "", password: str = "") -> ReadError:
    """What is said of an archive, or of a member of it."""
    place = Place(path, member, (password,) if password else ())
    with pytest.raises(ReadError) as caught:
        _ = place.whole() if member else archive.contents(path, ())
    return caught.value


# ---------------------------------------------------------------- films


def test_a_film_in_an_archive_is_the_film(
    scan: Scan, reader: SandboxReader, make_zip: MakeZip, repository: Path, read_path: Callable[[Path], Radiograph]
) -> None:
    samples = repository / "resources" / "samples"
    names = ("adult-3-nodule.dcm", "child-1-normal.png")
    path = make_zip("study.zip", *((f"DISC/{name}", (samples / name).read_bytes()) for name in names), ("a.txt", b"a"))
    found = films(scan(path))
    assert [(item.image.path, item.image.member) for item in found] == [(path, "0"), (path, "1")]
    for item, name in zip(found, names, strict=True):
        plain, image = read_path(samples / name), reader.read(item.image, CancelToken())
        assert np.array_equal(image.stored, plain.stored)
        assert (image.key, image.source_sha256, image.voi) == (plain.key, plain.source_sha256, plain.voi)
        assert item.size_bytes == (samples / name).stat().st_size
        thumbnail = reader.thumbnail(item.image, 96, CancelToken())
        described = reader.describe(samples / name, CancelToken()).image
        assert thumbnail == reader.thumbnail(described, 96, CancelToken())
        assert reader.tags(item.image, CancelToken()) == reader.tags(described, CancelToken())


def test_real_films_of_several_transfer_syntaxes(
    scan: Scan, reader: SandboxReader, make_zip: MakeZip, need_data: Callable[[str], Path]
) -> None:
    folder = need_data("dicom")
    sources = [path for pattern in ("tx_*.dcm", "syn_dx_*.dcm") for path in sorted(folder.glob(pattern))][:8]
    path = make_zip("all.zip", *((source.name, source.read_bytes()) for source in sources))
    found = films(scan(path))
    assert len(found) == len(sources) > 5
    for item, source in zip(found, sources, strict=True):
        image = reader.read(item.image, CancelToken())
        assert image.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()


def test_a_picture_that_only_itk_reads(scan: Scan, reader: SandboxReader, make_zip: MakeZip) -> None:
    """ITK opens files by their names; the 16 bits of a TIFF arrive all the same."""
    import cv2

    pixels = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    path = make_zip("pictures.zip", ("scan.tif", cv2.imencode(".tif", pixels)[1].tobytes()))
    (item,) = films(scan(path))
    assert np.array_equal(reader.read(item.image, CancelToken()).stored, pixels)
    assert (item.image.rows, item.study_description) == (6, "scan.tif")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names for files in memory")
def test_a_picture_in_an_archive_is_written_nowhere(make_zip: MakeZip, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    pixels = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    monkeypatch.setattr(tempfile, "tempdir", "/there/is/no/such/folder")
    for ending in (".tif", ".png"):
        data = cv2.imencode(ending, pixels)[1].tobytes()
        place = Place(make_zip("pictures.zip", (f"scan{ending}", data)), "0")
        assert np.array_equal(raster.read(place, place.whole(), "digest", 0).stored, pixels)


def test_archives_in_archives_down_to_the_second(
    scan: Scan, reader: SandboxReader, make_zip: MakeZip, dicom_bytes: Callable[..., bytes]
) -> None:
    inner = zipped(("film.dcm", dicom_bytes()))
    path = make_zip("outer.zip", ("a.txt", b"a"), ("in.zip", inner), ("deep.zip", zipped(("deeper.ZIP", inner))))
    batches = scan(path)
    (item,) = films(batches)
    assert item.image.member == "1/0"
    assert reader.read(item.image, CancelToken()).stored.shape == (4, 6)
    assert notes(batches) == ["outer.zip: deeper.ZIP was left out: it is an archive in an archive in an archive."]


def test_archives_in_a_folder_are_looked_into_by_their_name(
    scan: Scan, tmp_path: Path, dicom_bytes: Callable[..., bytes]
) -> None:
    """A letter is a ZIP archive too, and its pictures are no films; whoever opens it himself may look."""
    data = zipped(("film.dcm", dicom_bytes()))
    for name in ("a.zip", "b.ZIP", "letter.docx"):
        (tmp_path / name).write_bytes(data)
    assert [item.image.path.name for item in films(scan(tmp_path))] == ["a.zip", "b.ZIP"]
    assert [item.image.path.name for item in films(scan(tmp_path / "letter.docx"))] == ["letter.docx"]


def test_a_film_that_is_called_zip_is_a_film(scan: Scan, tmp_path: Path, dicom_bytes: Callable[..., bytes]) -> None:
    (tmp_path / "film.zip").write_bytes(dicom_bytes())
    assert [item.image.member for item in films(scan(tmp_path))] == [""]


def test_a_disc_in_an_archive(scan: Scan, tmp_path: Path, need_data: Callable[[str], Path]) -> None:
    """The films of a DICOMDIR are found without it: what it names is never followed there."""
    disc = need_data("dicom/media_set_dicomdir")
    with zipfile.ZipFile(tmp_path / "disc.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        for file in sorted(disc.rglob("*")):
            opened.write(file, file.relative_to(disc))
    in_archive, on_disc = films(scan(tmp_path / "disc.zip")), films(scan(disc / "DICOMDIR"))
    assert {item.image.key for item in in_archive} == {item.image.key for item in on_disc}


def test_what_systems_put_beside_films_is_left_out(
    scan: Scan, make_zip: MakeZip, dicom_bytes: Callable[..., bytes]
) -> None:
    film = dicom_bytes()
    path = make_zip(
        "mac.zip", ("__MACOSX/._film.dcm", film), (".hidden", film), ("a\\.git\\x", film), ("empty", b""), ("f/", b"")
    )
    assert films(scan(path)) == []


def test_the_same_film_twice_and_odd_names(scan: Scan, make_zip: MakeZip, dicom_bytes: Callable[..., bytes]) -> None:
    film = dicom_bytes()
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = make_zip("odd.zip", *((name, film) for name in ("x", "x", "Röntgen.dcm", "NUL", "a" * 5000)))
    assert [item.image.member for item in films(scan(path))] == ["0", "1", "2", "3", "4"]


def test_names_that_are_not_what_they_claim(scan: Scan, make_zip: MakeZip, dicom_bytes: Callable[..., bytes]) -> None:
    """Marked as UTF-8 and written in another way; a name is no reason to lose the films."""
    path = make_zip("names.zip", *((f"Röntgen {n}", dicom_bytes(SOPInstanceUID=f"1.2.{n}")) for n in range(3)))
    path.write_bytes(path.read_bytes().replace("Rö".encode(), b"R\xf6x"))
    assert [item.image.member for item in films(scan(path))] == ["0", "1", "2"]


def test_an_archive_in_the_64_bit_form(scan: Scan, tmp_path: Path, dicom_bytes: Callable[..., bytes]) -> None:
    with (
        zipfile.ZipFile(tmp_path / "large.zip", "w", zipfile.ZIP_DEFLATED) as opened,
        opened.open("film.dcm", "w", force_zip64=True) as file,
    ):
        file.write(dicom_bytes())
    assert [item.image.member for item in films(scan(tmp_path / "large.zip"))] == ["0"]


def test_an_archive_that_has_changed(
    scan: Scan, reader: SandboxReader, make_zip: MakeZip, dicom_bytes: Callable[..., bytes]
) -> None:
    path = make_zip("study.zip", ("film.dcm", dicom_bytes()))
    (before,) = films(scan(path))
    make_zip("study.zip", ("other.dcm", dicom_bytes(SOPInstanceUID="1.2.3.5")))
    with pytest.raises(ReadError) as caught:
        reader.read(before.image, CancelToken())
    assert caught.value.code == "file-changed"
    (after,) = films(scan(path))
    assert after.modified_ns != before.modified_ns
    path.unlink()
    with pytest.raises(ReadError) as caught:
        reader.read(after.image, CancelToken())
    assert caught.value.code == "file-missing"


def test_a_cancelled_scan_of_an_archive(sandbox: Sandbox, make_zip: MakeZip, dicom_bytes: Callable[..., bytes]) -> None:
    path = make_zip("many.zip", *((f"{n}.dcm", dicom_bytes(SOPInstanceUID=f"1.2.{n}")) for n in range(1000)))
    token = CancelToken()
    batches = FolderScanner(sandbox).scan([path], token)
    first = next(batches)
    assert 0 < len(first.found) < 1000
    token.cancel()
    with pytest.raises(CancelledError):
        list(batches)


# ---------------------------------------------------------------- passwords


@pytest.mark.parametrize("name", PROTECTED)
def test_a_password_opens_what_other_programs_have_locked(name: str) -> None:
    path = ARCHIVES / name
    assert archive.contents(path, ()).locked
    assert not archive.unlocks(path, "rib cagE", ())
    assert archive.unlocks(path, PASSWORD, ())
    contents = archive.contents(path, ("another", PASSWORD))
    assert not contents.locked
    ((member, size),) = contents.members
    data = Place(path, member, (PASSWORD,)).whole()
    assert len(data) == size
    assert data[-2 * FILM_SIZE**2 :] == gradient().astype("<u2").tobytes()


def test_the_way_of_a_password(sandbox: Sandbox, reader: SandboxReader, scan: Scan, tmp_path: Path) -> None:
    for name in ("aes256_ae2.zip", "zipcrypto.zip"):
        (tmp_path / name).write_bytes((ARCHIVES / name).read_bytes())
    batches = scan(tmp_path)
    assert films(batches) == []
    assert locked(batches) == ["aes256_ae2.zip", "zipcrypto.zip"]
    assert not reader.unlock(tmp_path / "zipcrypto.zip", "wrong", CancelToken())
    assert reader.unlock(tmp_path / "zipcrypto.zip", PASSWORD, CancelToken())
    batches = scan(tmp_path)
    item, other = films(batches)
    assert [item.image.path.name, other.image.path.name] == ["aes256_ae2.zip", "zipcrypto.zip"]  # they share it
    assert locked(batches) == []
    image = reader.read(item.image, CancelToken())
    assert np.array_equal(image.stored, gradient())
    assert len(reader.thumbnail(item.image, 32, CancelToken())) > 0
    stranger = Sandbox(1)
    try:
        with pytest.raises(ReadError) as caught:  # a program that was started anew
            SandboxReader(stranger).read(item.image, CancelToken())
    finally:
        stranger.close()
    assert caught.value.code == "password-needed"


def test_a_locked_archive_inside_another(scan: Scan, reader: SandboxReader, make_zip: MakeZip) -> None:
    path = make_zip("outer.zip", ("inner.zip", (ARCHIVES / "aes128_ae1.zip").read_bytes()))
    assert locked(scan(path)) == ["outer.zip"]
    assert reader.unlock(path, PASSWORD, CancelToken())
    assert [item.image.member for item in films(scan(path))] == ["0/0"]


def test_a_wrong_password_that_passes_the_first_check_is_found_out() -> None:
    """The traditional cipher lets one password in 256 pass; the checksum of the film does not."""
    path = ARCHIVES / "zipcrypto.zip"
    entry = archive.open_archive(path).entries[0]
    head = path.read_bytes()[entry.offset :][30 + len(entry.full_name) + 28 :][:12]
    passing = [f"{n}" for n in range(2000) if unlocking.ZipCrypto(f"{n}".encode(), head, entry.checks).fits]
    assert passing
    assert not any(archive.unlocks(path, password, ()) for password in passing)


@pytest.mark.parametrize("name", ["aes256_ae1.zip", "aes256_ae2.zip"])
def test_protected_data_that_was_changed(name: str, tmp_path: Path) -> None:
    data = bytearray((ARCHIVES / name).read_bytes())
    data[300] ^= 1
    (tmp_path / name).write_bytes(data)
    assert fault(tmp_path / name, "0", PASSWORD).code == "archive-damaged"


def test_passwords_show_themselves_nowhere() -> None:
    passwords = Passwords()
    passwords.add(Path("/films/a.zip"), "geheim")
    assert passwords.of(Path("/films/a.zip")) == ("geheim",)
    assert "geheim" not in repr(passwords) + str(passwords) + repr(Place(Path("/films/a.zip"), "0", ("geheim",)))


def test_spellings_of_a_password() -> None:
    assert list(unlocking.spellings("plain")) == [b"plain"]
    assert b"\x81" in list(unlocking.spellings("ü"))  # as DOS wrote it
    assert next(unlocking.spellings("ü")) == "ü".encode()


# ---------------------------------------------------------------- built to do harm


def test_names_that_climb_out_lead_nowhere(
    scan: Scan, reader: SandboxReader, tmp_path: Path, need_data: Callable[[str], Path]
) -> None:
    batches = scan(need_data("hostile/zipslip.zip"))
    assert [item.image.member for item in films(batches)] == ["0", "1", "3"]
    for item in films(batches):
        reader.read(item.image, CancelToken())
    assert list(tmp_path.iterdir()) == []
    assert not list(Path("/").glob("scratch_evil*"))


def test_an_archive_of_twenty_thousand_files(scan: Scan, need_data: Callable[[str], Path]) -> None:
    assert films(scan(need_data("hostile/zip_20k_files.zip"))) == []


def test_a_bomb_that_says_so(scan: Scan, need_data: Callable[[str], Path]) -> None:
    batches = scan(need_data("hostile/zipbomb_1GiB.zip"))
    assert films(batches) == []
    (note,) = notes(batches)
    assert note.startswith("A file in zipbomb_1GiB.zip: The file is too large for a radiograph")


def test_a_bomb_is_stopped_while_it_grows(make_zip: MakeZip, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_zip("bomb.zip", ("film.dcm", bytes(8 << 20)))
    monkeypatch.setattr(archive_entry, "RATIO_SLACK_BYTES", 1 << 20)
    assert fault(path, "0").code == "archive-refused"


def test_a_bomb_that_lies_about_its_size(make_zip: MakeZip) -> None:
    path = make_zip("liar.zip", ("film.dcm", bytes(8 << 20)))
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\1\2")
    struct.pack_into("<I", data, place + 24, 1000)
    path.write_bytes(data)
    assert fault(path, "0").code == "archive-damaged"
    with Place(path, "0").open() as file, pytest.raises(ReadError):
        file.seek(0, io.SEEK_END)


def test_many_files_that_would_fill_any_memory(make_zip: MakeZip, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_zip("flat.zip", *((f"{n}", bytes(1 << 20)) for n in range(8)))
    monkeypatch.setattr(archive, "RATIO_SLACK_BYTES", 1 << 20)
    assert fault(path).code == "archive-refused"
    assert "unpack to" in fault(path).summary


def test_files_that_share_their_bytes(make_zip: MakeZip) -> None:
    path = make_zip("quine.zip", ("a", bytes(5000)), ("b", bytes(5000)))
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\1\2") + 42, 0)
    path.write_bytes(data)
    assert fault(path).summary == "The ZIP archive was not opened: its files overlap."


def test_more_files_than_any_disc_holds(make_zip: MakeZip, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_zip("many.zip", *((f"{n}", b"x") for n in range(11)))
    monkeypatch.setattr(archive, "MAX_ENTRIES", 10)
    assert "more than 10 files" in fault(path).summary
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 300)
    assert "list of contents" in fault(path).summary


def test_an_inner_archive_too_large_for_memory(
    make_zip: MakeZip, dicom_bytes: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_zip("outer.zip", ("inner.zip", zipped(("film.dcm", dicom_bytes()))))
    monkeypatch.setattr(archive, "LARGEST_INNER_BYTES", 100)
    assert "too large to be opened in memory" in archive.contents(path, ()).notes[0]


@pytest.mark.parametrize(
    ("method", "named"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA"), (9, "Deflate64"), (93, "Zstandard")]
)
def test_ways_of_packing_that_are_not_known_are_named(
    method: int, named: str, make_zip: MakeZip, dicom_bytes: Callable[..., bytes]
) -> None:
    known = method if method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA) else zipfile.ZIP_DEFLATED
    path = make_zip("packed.zip", ("film.dcm", dicom_bytes()), method=known)
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.rindex(b"PK\1\2") + 10, method)
    path.write_bytes(data)
    found = fault(path, "0")
    assert found.code == "archive-method"
    assert f"({named})" in found.summary


def test_an_entry_that_cannot_be_unpacked_takes_no_other_with_it(
    make_zip: MakeZip, dicom_bytes: Callable[..., bytes]
) -> None:
    """Passwords of other archives are tried on the smallest protected entry, which may be of a kind nobody knows."""
    path = make_zip("mixed.zip", ("film.dcm", dicom_bytes()), ("note.txt", b"x" * 40))
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\1\2")
    struct.pack_into("<HH", data, place + 8, 1, 98)  # protected, PPMd
    path.write_bytes(data)
    contents = archive.contents(path, ("of another archive",))
    assert [member for member, _ in contents.members] == ["0", "1"]
    assert not archive.unlocks(path, "a password", ())
    assert fault(path, "1", "a password").code == "archive-method"


def test_strong_encryption_is_named(make_zip: MakeZip) -> None:
    path = make_zip("strong.zip", ("film.dcm", b"x"))
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.rindex(b"PK\1\2") + 8, 0x41)
    path.write_bytes(data)
    assert "PKWARE strong encryption" in fault(path, "0", "x").summary


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_an_archive_that_was_not_copied_whole(share: float, make_zip: MakeZip, scan: Scan, repository: Path) -> None:
    film = (repository / "resources" / "samples" / "adult-3-nodule.dcm").read_bytes()
    path = make_zip("cut.zip", ("film.dcm", film))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert fault(path).code == "archive-damaged"
    (note,) = notes(scan(path))
    assert note.startswith("cut.zip: The ZIP archive is damaged or was not copied whole.")


@pytest.mark.parametrize("member", ["1", "-1", "x", "0/0", "0/0/0/0", "99999999999", "\N{SUPERSCRIPT TWO}"])
def test_members_that_are_not_there(member: str, make_zip: MakeZip, dicom_bytes: Callable[..., bytes]) -> None:
    path = make_zip("one.zip", ("film.dcm", dicom_bytes()))
    assert fault(path, member).code in ("file-changed", "archive-damaged")


@given(place=st.integers(0, 10_000), value=st.integers(0, 255), name=st.sampled_from(["plain", *PROTECTED]))
def test_any_damaged_byte_gives_the_film_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, name: str
) -> None:
    whole = (ARCHIVES / "zipcrypto.zip").read_bytes() if name == "plain" else (ARCHIVES / name).read_bytes()
    film = Place(ARCHIVES / "zipcrypto.zip", "0", (PASSWORD,)).whole()
    data = bytearray(zipped(("film.dcm", film)) if name == "plain" else whole)
    data[place % len(data)] = value
    path = tmp_path_factory.mktemp("damaged") / "damaged.zip"
    path.write_bytes(data)
    outcome = "archive-"
    try:
        for member, _ in archive.contents(path, (PASSWORD,)).members:
            outcome = "film" if Place(path, member, (PASSWORD,)).whole() == film else "another film"
    except ReadError as error:
        outcome = error.code
    assert outcome.startswith(("film", "archive-", "password-", "file-", "empty-"))


# ---------------------------------------------------------------- entries as files


def test_an_entry_is_inflated_no_further_than_it_is_read(make_zip: MakeZip) -> None:
    path = make_zip("large.zip", ("film.dcm", bytes(range(256)) * 65536))
    with archive.open_member(path, "0", ()) as file:
        assert file.read(132) == bytes(range(132))
        assert len(file._data) <= 1 << 18
        assert file.seek(-256, io.SEEK_END) == (16 << 20) - 256
        assert file.read() == bytes(range(256))
        assert (file.tell(), file.read(10)) == (16 << 20, b"")
        file.seek(256)
        buffer = bytearray(4)
        assert (file.readinto(buffer), bytes(buffer)) == (4, b"\0\1\2\3")
        with pytest.raises(ValueError, match="seek"):
            file.seek(-1)
