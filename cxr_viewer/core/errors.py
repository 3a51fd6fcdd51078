"""Errors a reader may be told about.

Whatever is expected to go wrong is a :class:`CxrError` with a sentence and a way out. Anything else that is
raised is a defect: it is logged with its traceback and shown as code ``internal``.
"""

from __future__ import annotations


class CxrError(Exception):
    """An expected fault, told to the reader in one sentence.

    Attributes:
        summary: one plain sentence that names the fault, ending in a full stop. Never contains patient data.
        hint: one plain sentence that says what to do, or an empty string.
        detail: text for the log and the "details" fold, e.g. the decoder's own words.
        code: short stable identifier in lower case with hyphens, e.g. ``"no-pixel-data"``.
    """

    def __init__(self, summary: str, *, hint: str = "", detail: str = "", code: str = "error") -> None:
        super().__init__(summary)
        self.summary = summary
        self.hint = hint
        self.detail = detail
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:  # keyword-only fields have to survive a process boundary
        return (_rebuild, (type(self), self.summary, self.hint, self.detail, self.code))


def _rebuild(kind: type[CxrError], summary: str, hint: str, detail: str, code: str) -> CxrError:
    return kind(summary, hint=hint, detail=detail, code=code)


class ReadError(CxrError):
    """A file could not be read, decoded or understood."""


class RefusalError(CxrError):
    """The model will not look at this image (not a chest film, colour, ...). Not a failure of the program."""


class ModelError(CxrError):
    """A model is missing, damaged or could not run."""


class ExportError(CxrError):
    """A result could not be written."""


class CancelledError(CxrError):
    """The work was asked to stop. Nobody needs to see it."""

    def __init__(
        self, summary: str = "Cancelled.", *, hint: str = "", detail: str = "", code: str = "cancelled"
    ) -> None:
        super().__init__(summary, hint=hint, detail=detail, code=code)
