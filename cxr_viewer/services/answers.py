"""What models have said of films, kept while the program runs. In memory only: nothing of a patient is written."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cxr_viewer.core.errors import RefusalError
from cxr_viewer.core.filmcheck import FilmCheckError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, ModelCard, Refusal
from cxr_viewer.core.image import ImageKey

MOST_KEPT = 1000
MOST_BYTES = 64 << 20
_WORDS_BYTES = 4096
"""What an answer takes beside its arrays."""

Answer = AnalysisResult | Refusal


@dataclass(frozen=True, slots=True)
class Question:
    """What an answer depends on: the same question has the same answer.

    Attributes:
        image, source_sha256: the frame and the bytes of its file (of the member, in an archive). The model starts from
            stored values, so nothing the reader does to the display is part of it.
        card: all of it: other weights, another calibration or other operating points make another answer.
        method, device: as asked for; ``AnalysisResult.device`` says what it was worked out on.
        turns, override: as asked for.
        beside: the cards of the models that serve the program itself; their answers are part of every answer.
    """

    image: ImageKey
    source_sha256: str
    card: ModelCard
    method: str
    device: str
    turns: int
    override: bool
    beside: tuple[ModelCard, ...]


class Answers:
    """The newest answers, by question. Safe to use from any thread.

    Previews, damaged films and films without a digest are not kept: what they are may be another thing next time.

    Args:
        most_kept, most_bytes: beyond either, what was not asked for longest goes.
    """

    def __init__(self, most_kept: int = MOST_KEPT, most_bytes: int = MOST_BYTES) -> None:
        self._most_kept, self._most_bytes = most_kept, most_bytes
        self._cards: dict[str, ModelCard] = {}
        self._kept: OrderedDict[Question, Answer] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size_bytes(self) -> int:
        """What the answers take, about."""
        return self._bytes

    def installed(self, cards: Sequence[ModelCard]) -> None:
        """These models are installed now; the answers of all others go."""
        with self._lock:
            self._cards = {card.model_id: card for card in cards}
            for question in [question for question in self._kept if not self._current(question)]:
                self._drop(question)

    def question(self, request: AnalysisRequest) -> Question | None:
        """What the answer to ``request`` can be kept under, None where it cannot."""
        image = request.image
        card = self._cards.get(request.model_id)
        if card is None or image.preview or image.damaged or not image.source_sha256:
            return None
        beside = tuple(card for card in self._cards.values() if card.serves)
        return Question(
            image.key,
            image.source_sha256,
            card,
            request.method,
            request.device,
            request.turns,
            request.override,
            beside,
        )

    def given(self, request: AnalysisRequest) -> Answer | None:
        """The answer given before, as one to ``request``; None where there is none."""
        question = self.question(request)
        with self._lock:
            kept = None if question is None else self._kept.get(question)
            if question is None or kept is None:
                return None
            self._kept.move_to_end(question)
        if isinstance(kept, Refusal):
            return replace(kept, pane=request.pane, generation=request.generation)
        return replace(kept, pane=request.pane, generation=request.generation, kept=True)

    def keep(self, question: Question | None, answer: Answer) -> None:
        """Keep an answer, unless it is none to ``question`` (the model was replaced while it worked, say)."""
        if question is None or not _belongs(question, answer):
            return
        with self._lock:
            if not self._current(question):
                return
            self._drop(question)
            self._kept[question] = answer
            self._bytes += _bytes(answer)
            while self._kept and (len(self._kept) > self._most_kept or self._bytes > self._most_bytes):
                self._drop(next(iter(self._kept)))

    def _current(self, question: Question) -> bool:
        return self._cards.get(question.card.model_id) == question.card

    def _drop(self, question: Question) -> None:
        answer = self._kept.pop(question, None)
        if answer is not None:
            self._bytes -= _bytes(answer)


def refusal_of(request: AnalysisRequest, error: RefusalError) -> Refusal:
    """Why a model declined, as the answer to ``request``; with what the film check said where that was it."""
    return Refusal(
        request.pane,
        request.generation,
        request.image.key,
        request.model_id,
        error.code,
        error.summary,
        error.hint,
        error.check if isinstance(error, FilmCheckError) else None,
    )


def _belongs(question: Question, answer: Answer) -> bool:
    if (answer.key, answer.model_id) != (question.image, question.card.model_id):
        return False
    return isinstance(answer, Refusal) or answer.model_sha256 == question.card.sha256


def _bytes(answer: Answer) -> int:
    if isinstance(answer, Refusal):
        return _WORDS_BYTES
    picture = answer.saw.picture.nbytes if answer.saw is not None else 0
    outlines = answer.anatomy.outlines if answer.anatomy is not None else ()
    return _WORDS_BYTES + picture + sum(heatmap.values.nbytes for heatmap in (*answer.heatmaps, *outlines))
