"""What a look at the pixels says of a film before any model scores it: is it the kind of film the model reads?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from cxr_viewer.core.errors import RefusalError
from cxr_viewer.core.image import Caution, View


class Severity(IntEnum):
    """How much a sign weighs, in order."""

    NOTE = 0  # told, changes nothing
    CAUTION = 1  # told beside the score
    GREY = 2  # the score is shown, but greyed: it does not hold
    BLOCK = 3  # no score, unless the reader asks for it all the same


class FilmKind(IntEnum):
    FRONTAL = 0
    LATERAL = 1
    OTHER = 2  # not a chest film


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that is not as it should be.

    Attributes:
        code: one of ``turned``, ``inverted``, ``lateral``, ``not-chest``, ``mirrored``, ``cut-away``,
            ``view-contradicted``, ``unlike-training``.
        text: one plain sentence.
        hint: what the reader can do.
        share: how sure the check is, 0..1.
    """

    code: str
    text: str
    severity: Severity
    hint: str = ""
    share: float = 1.0

    @property
    def caution(self) -> Caution:
        return Caution(self.code, self.text)


class ViewSource(IntEnum):
    """Where the view comes from."""

    NOWHERE = 0  # the file is silent, and the network is not sure or, of a child, not asked
    NETWORK = 1
    FILE = 2


@dataclass(frozen=True, slots=True)
class FilmCheck:
    """The answer of the guard for one film.

    Attributes:
        kind: what the pixels look like.
        view: the view the models go by: the file's, else the network's where it is sure, else ``UNKNOWN``.
        upright_turns: quarter turns clockwise that would make the film upright, 0 to 3.
        signs: the heaviest first; empty where nothing speaks against the film.
        model_id, model_version, model_sha256: of the guard.
    """

    kind: FilmKind
    view: View
    view_source: ViewSource
    upright_turns: int
    signs: tuple[Sign, ...]
    model_id: str = ""
    model_version: str = ""
    model_sha256: str = ""

    def of(self, severity: Severity) -> tuple[Sign, ...]:
        """The signs of one weight."""
        return tuple(sign for sign in self.signs if sign.severity is severity)

    @property
    def blocking(self) -> tuple[Sign, ...]:
        return self.of(Severity.BLOCK)


class FilmCheckError(RefusalError):
    """The guard blocks the film; the reader may ask for a score all the same."""

    def __init__(self, check: FilmCheck) -> None:
        sign = check.blocking[0]
        super().__init__(sign.text, hint=sign.hint, code=sign.code)
        self.check = check

    def __reduce__(self) -> tuple[object, ...]:
        return (FilmCheckError, (self.check,))
