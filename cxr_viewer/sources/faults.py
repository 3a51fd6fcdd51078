"""Every sentence a reader may be told about a file that cannot be shown, in one place."""

from __future__ import annotations

import errno
from pathlib import Path

from cxr_viewer.core.errors import ReadError

PASSWORD_NEEDED, ARCHIVE_DAMAGED = "password-needed", "archive-damaged"
_COPY_AGAIN = "Copy or send the file again from where it came from."


def vanished(detail: str = "") -> ReadError:
    return ReadError(
        "The file is no longer there.",
        hint="Check that its disk or network folder is connected, then open the folder again.",
        detail=detail,
        code="file-missing",
    )


def forbidden(detail: str = "") -> ReadError:
    return ReadError(
        "You are not allowed to read this file.",
        hint="Ask its owner for permission, or copy the file to a folder of your own.",
        detail=detail,
        code="permission-denied",
    )


def unreadable_disk(detail: str = "") -> ReadError:
    return ReadError(
        "The file could not be read from its disk.",
        hint="Check the disk or the network, then try again.",
        detail=detail,
        code="disk-error",
    )


def no_room(detail: str = "") -> ReadError:
    return ReadError(
        "The disk for temporary files is full, so this file could not be read.",
        hint="Make some room on it, then open the film again.",
        detail=detail,
        code="disk-full",
    )


def from_os_error(error: OSError) -> ReadError:
    """The sentence for what the operating system said; names no path."""
    detail = f"{type(error).__name__}: {error.strerror or error.errno}"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return vanished(detail)
    if isinstance(error, PermissionError):
        return forbidden(detail)
    if error.errno in (errno.ENOMEM, errno.EFBIG):
        return too_large_for_memory(detail)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_room(detail)
    return unreadable_disk(detail)


def empty_file() -> ReadError:
    return ReadError("The file is empty.", hint=_COPY_AGAIN, code="empty-file")


def not_a_file() -> ReadError:
    return ReadError(
        "This is not a file that holds anything, but a folder or a device.",
        hint="Open a file, or a folder with File > Open folder.",
        code="not-a-file",
    )


def file_too_large(size_bytes: int, limit_bytes: int) -> ReadError:
    return ReadError(
        f"The file is too large for a radiograph ({size_bytes / 2**30:.1f} GiB).",
        hint=f"Files of up to {limit_bytes / 2**30:.0f} GiB can be opened.",
        code="file-too-large",
    )


def not_an_image(name: str = "") -> ReadError:
    return ReadError(
        f"{name or 'This file'} is not an image this program can read.",
        hint="Open a DICOM, PNG, JPEG, TIFF or BMP file.",
        code="not-an-image",
    )


def zip_archive() -> ReadError:
    return ReadError(
        "This file is a ZIP archive, not an image.",
        hint="Open it with File > Open file to list the images it holds.",
        code="zip-archive",
    )


def password_needed(detail: str = "") -> ReadError:
    return ReadError(
        "The archive is protected by a password.",
        hint="Open the archive again and type its password.",
        detail=detail,
        code=PASSWORD_NEEDED,
    )


def archive_damaged(detail: str) -> ReadError:
    return ReadError(
        "The ZIP archive is damaged or was not copied whole.",
        hint=_COPY_AGAIN,
        detail=detail,
        code=ARCHIVE_DAMAGED,
    )


def archive_refused(why: str) -> ReadError:
    return ReadError(
        f"The ZIP archive was not opened: {why}.",
        hint="If you trust where it comes from, unpack it yourself and open the folder.",
        code="archive-refused",
    )


def archive_method(what: str) -> ReadError:
    return ReadError(
        f"The file is packed into its ZIP archive in a way this program cannot unpack ({what}).",
        hint="Unpack the archive with another program and open the folder.",
        code="archive-method",
    )


def dicomdir_is_no_image() -> ReadError:
    return ReadError(
        "This file is the table of contents of a disc (DICOMDIR), not an image.",
        hint="Open it with File > Open file to list the images it names.",
        code="dicomdir",
    )


def holds_no_image(kind: str) -> ReadError:
    return ReadError(
        f"This DICOM object holds no image ({kind}).",
        hint="Choose an image of the same study.",
        code="no-image-object",
    )


def no_pixel_data() -> ReadError:
    return ReadError(
        "This DICOM file holds no pixel data.",
        hint="The sender left the picture out, or the copy stopped in the header: fetch the image again.",
        code="no-pixel-data",
    )


def truncated(present: int, expected: int) -> ReadError:
    share = f"{100 * present / expected:.0f} %" if expected else "a part"
    return ReadError(
        f"The file is truncated: only {share} of its pixel data is there.",
        hint=_COPY_AGAIN,
        detail=f"{present} of {expected} bytes of pixel data",
        code="truncated",
    )


def stops_early(detail: str = "") -> ReadError:
    return ReadError(
        "The file is truncated: the end of its picture is missing.",
        hint=_COPY_AGAIN,
        detail=detail,
        code="truncated",
    )


def damaged(detail: str) -> ReadError:
    return ReadError("The file is damaged and cannot be read.", hint=_COPY_AGAIN, detail=detail, code="damaged")


def damaged_pixels(detail: str) -> ReadError:
    return ReadError(
        "The compressed picture in this file is damaged and cannot be decoded.",
        hint=_COPY_AGAIN,
        detail=detail,
        code="damaged-pixels",
    )


def impossible_value(tag: str, value: object) -> ReadError:
    return ReadError(
        f"The header gives an impossible value for {tag}: {str(value)[:40]}.",
        hint="The picture cannot be built from this header; ask for the image again.",
        code="impossible-header",
    )


def missing_value(tag: str) -> ReadError:
    return ReadError(
        f"The header does not give {tag}, without which the picture cannot be built.",
        hint="Ask for the image again from where it came from.",
        code="incomplete-header",
    )


def image_too_large(rows: int, columns: int, limit_megapixels: int) -> ReadError:
    return ReadError(
        f"The header claims {rows} x {columns} pixels, more than any radiograph has.",
        hint=f"Images of up to {limit_megapixels} megapixels can be opened.",
        code="image-too-large",
    )


def answer_too_large(detail: str) -> ReadError:
    return ReadError(
        "This file holds more than the program can take in safely.",
        hint="Radiographs are far smaller; ask for this image alone, or for a smaller copy of it.",
        detail=detail,
        code="answer-too-large",
    )


def size_mismatch(header: tuple[int, int], picture: tuple[int, int]) -> ReadError:
    return ReadError(
        f"The header claims {header[0]} x {header[1]} pixels, the compressed picture {picture[0]} x {picture[1]}.",
        hint="One of the two is wrong, so the picture is not shown; ask for the image again.",
        code="size-mismatch",
    )


def unsupported_syntax(name: str) -> ReadError:
    return ReadError(
        f"The pixels are stored in a way this program cannot decode ({name}).",
        hint="Ask for the image in a common transfer syntax, e.g. Explicit VR Little Endian.",
        code="unsupported-transfer-syntax",
    )


def wrong_syntax(name: str, detail: str = "") -> ReadError:
    return ReadError(
        f"The pixels are not stored as the file says (transfer syntax {name}).",
        hint="Ask for the image again, e.g. as Explicit VR Little Endian.",
        detail=detail,
        code="wrong-transfer-syntax",
    )


def unsupported_depth(what: str) -> ReadError:
    return ReadError(
        f"The picture has {what} per pixel; this program shows 1 to 16 bits.",
        hint="Radiographs have at most 16 bits, so this is probably a result of some calculation, not a film.",
        code="unsupported-depth",
    )


def unsupported_photometric(name: str) -> ReadError:
    return ReadError(
        f"The pixels share their colours in a way this program does not show ({name}).",
        hint="Ask for the image again from where it came from, in grey or in RGB.",
        code="unsupported-photometric",
    )


def unsupported_samples(samples: int) -> ReadError:
    return ReadError(
        f"Each pixel of the compressed picture has {samples} values; this program shows one (grey) or three (colour).",
        hint="Ask for the image again from where it came from, in grey.",
        code="unsupported-samples",
    )


def no_such_frame(frame: int, frames: int) -> ReadError:
    return ReadError(
        f"The file has no frame {frame + 1}; it holds {frames}.",
        hint="Open the folder again, the file may have changed.",
        code="no-such-frame",
    )


def file_changed() -> ReadError:
    return ReadError(
        "The file now holds another image than the one that was listed.",
        hint="Open the folder again to list what is there now.",
        code="file-changed",
    )


def too_large_for_memory(detail: str = "") -> ReadError:
    return ReadError(
        "Reading this file would need more memory than it may have.",
        hint="The file is probably damaged; fetch the image again.",
        detail=detail,
        code="memory",
    )


def took_too_long(seconds: float) -> ReadError:
    return ReadError(
        f"The file could not be read within {seconds:.0f} seconds.",
        hint="It is probably damaged, or its disk does not answer; try again or fetch the image again.",
        code="timeout",
    )


def reader_crashed(detail: str) -> ReadError:
    return ReadError(
        "Reading this file made the decoder crash; the program itself is unharmed.",
        hint="The file is probably damaged; fetch the image again.",
        detail=detail,
        code="reader-crashed",
    )


def reader_killed(detail: str) -> ReadError:
    return ReadError(
        "The process that was reading this file was ended from outside, perhaps for want of memory.",
        hint="Open the film again; if it happens again, close other programs first.",
        detail=detail,
        code="reader-killed",
    )


def reader_will_not_start(detail: str) -> ReadError:
    return ReadError(
        "The helper process that reads files could not be started.",
        hint="Close other programs to free memory, then start the program again; reinstall it if that does not help.",
        detail=detail,
        code="reader-not-started",
    )


def reader_closed() -> ReadError:
    return ReadError("The program is closing, so the file was not read.", code="reader-closed")


def from_exception(error: BaseException) -> ReadError:
    """The sentence for anything a decoder or parser may raise."""
    if isinstance(error, ReadError):
        return error
    detail = f"{type(error).__name__}: {str(error)[:400]}"
    if isinstance(error, MemoryError):
        return too_large_for_memory(detail)
    if isinstance(error, OSError) and error.errno is not None:
        return from_os_error(error)
    return damaged(detail)


def folder_note(path: Path, error: OSError) -> str:
    """A note about a folder that a scan could not enter."""
    why = "you are not allowed to read it" if isinstance(error, PermissionError) else "it could not be read"
    return f"The folder {path.name or path} was left out: {why}."
