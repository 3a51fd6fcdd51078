"""Gives the runner the engine for a model: the one chosen on this computer, or the next one that works.

The first film of a model is answered by OpenVINO in float32 (or CUDA). :meth:`EngineSupply.settle` then, at a moment
of rest, holds the other engines against the reference engine on real films, measures those that agree, and remembers
the fastest; from then on the model runs on that one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cxr_viewer.core.errors import CancelledError, CxrError, ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.image import Caution
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.cards import verify_weights, weights_name
from cxr_viewer.inference.devices import devices
from cxr_viewer.inference.engines import CANDIDATES, ENGINES, F32, ONNX, ONNX_NETWORK, TORCH, Engine, score_key
from cxr_viewer.inference.engines.agreement import Scorer, disagreement
from cxr_viewer.inference.engines.alternatives import (
    Alternatives,
    alternatives_folder,
    load_engine,
    read_alternatives,
)
from cxr_viewer.inference.engines.child import ChildEngine, Convert, Extend, TorchProcess
from cxr_viewer.inference.engines.choice import Choice, Clock, fastest, forget, measure, remember, remembered
from cxr_viewer.inference.engines.graph import graph_folder

_log = logging.getLogger(__name__)

Report = Callable[[str], None]

CUDA = "cuda"
LARGE_WEIGHTS_BYTES = 16_000_000
"""From about four million parameters on, "auto" takes CUDA where there is one. A smaller network answers in a few
milliseconds on one core, sooner than torch and a graphics driver are loaded."""

_ALWAYS_AGREE = (F32, TORCH, CUDA)  # f32 is held against the reference's answer to the probe whenever it is loaded


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An engine ready to run, its name, and what has to be said of it."""

    name: str
    engine: Engine
    cautions: tuple[Caution, ...] = ()


class EngineSupply:
    """Loads engines and keeps them. Built, used and closed on one thread.

    Args:
        cache: the program's cache folder; graphs are kept in ``graphs`` below it, what other engines need in
            ``engines``.
        scorer: the scores as shown, by which engines are compared.
        clock: what measuring reads.
    """

    def __init__(self, cache: Path, scorer: Scorer, clock: Clock = time.perf_counter) -> None:
        self._graphs, self._folders = cache / "graphs", cache / "engines"
        self._scorer, self._clock = scorer, clock
        self._torch = TorchProcess()
        self._workshop = TorchProcess()  # makes files at rest; a film never waits for it
        self._ready: dict[tuple[str, str], Prepared] = {}  # by score_key and engine
        self._cpu: dict[str, Prepared] = {}  # by score_key: the one in use
        self._settled: dict[str, Choice | None] = {}
        self._verdicts: dict[tuple[str, str], str] = {}  # by score_key and engine: why not, empty where it agrees

    def prepared(self, card: ModelCard, bundle: Path, device: str, cancel: CancelToken, report: Report) -> Prepared:
        """The engine to use.

        Args:
            device: one of :func:`cxr_viewer.inference.devices.devices`, or an engine's name.

        Raises:
            ModelError: no such device or engine, damaged weights, the engine asked for by name cannot be used.
            CancelledError: ``cancel`` was set.
        """
        if device in ENGINES:
            return self._named(card, bundle, device, cancel, report)
        if device not in ("auto", "cpu", CUDA):
            known = ", ".join((*devices(), *ENGINES))
            raise ModelError(f"There is no device “{device}”.", hint=f"Choose one of: {known}.", code="unknown-device")
        if device == CUDA or (device == "auto" and self._takes_cuda(card, bundle)):
            try:
                return self._loaded(CUDA, card, bundle, cancel, report)
            except ModelError as error:
                if error.code != "no-cuda" or device == CUDA:
                    raise
                _log.info("CUDA cannot be used, taking the CPU: %s", error.detail)
        return self._on_cpu(card, bundle, cancel, report)

    def library(self, card: ModelCard, bundle: Path, cancel: CancelToken) -> ChildEngine:
        """The model on torch, for methods of the ``grad-cam`` library. Raises like :class:`ChildEngine`."""
        return ChildEngine(self._torch, card, bundle, "cpu", cancel)

    def needs_settling(self, card: ModelCard) -> bool:
        """Whether the model has run on the CPU and its engine has not been chosen yet."""
        return score_key(card) in self._cpu and score_key(card) not in self._settled

    def settle(self, card: ModelCard, bundle: Path, cancel: CancelToken) -> Choice | None:
        """Choose the engine of a model on the CPU, unless that has been done before on this computer.

        Takes some ten seconds once, nearly all of it in another process; what is done stays done when it is cancelled.

        Returns:
            the choice; None where no engine but the reference works.

        Raises:
            CancelledError: ``cancel`` was set; looked at between any two passes of a network.
        """
        if score_key(card) in self._settled:
            return self._settled[score_key(card)]
        folder = alternatives_folder(self._folders, card)
        choice = remembered(folder)
        if choice is None:
            try:
                choice = self._choose(card, bundle, folder, cancel)
            except CancelledError:
                raise
            except (CxrError, OSError) as error:
                _log.warning("no engine could be chosen for %s: %s", card.model_id, getattr(error, "detail", error))
        self._settled[score_key(card)] = choice
        current = self._cpu.get(score_key(card))
        if choice is not None and current is not None and current.name != choice.engine:
            self._drop(card)
            self._on_cpu(card, bundle, cancel, lambda stage: None)  # now, so that the next film need not wait for it
        return choice

    def keep_only(self, cards: Iterable[ModelCard]) -> None:
        """Give back what is held for any model but these: they are no longer installed."""
        wanted = {score_key(card) for card in cards}
        gone = [key for key in self._ready if key[0] not in wanted]
        left = [self._ready.pop(key).engine for key in gone]
        left += [self._cpu.pop(key).engine for key in [*self._cpu] if key not in wanted]
        for engine in left:
            engine.close()
        if left:
            self._torch.release()  # whatever else it holds is loaded again when it is asked for
        self._settled = {key: choice for key, choice in self._settled.items() if key in wanted}
        self._verdicts = {key: verdict for key, verdict in self._verdicts.items() if key[0] in wanted}

    def close(self) -> None:
        """Give memory and processes back. Safe to call twice."""
        for prepared in (*self._ready.values(), *self._cpu.values()):
            prepared.engine.close()
        self._ready.clear()
        self._cpu.clear()
        self._torch.close()
        self._workshop.close()

    # -------------------------------------------------------- loading

    def _takes_cuda(self, card: ModelCard, bundle: Path) -> bool:
        if CUDA not in devices() or card.network == ONNX_NETWORK:
            return False
        try:
            return (bundle / weights_name(card)).stat().st_size >= LARGE_WEIGHTS_BYTES
        except OSError:
            return False  # loading tells what is wrong

    def _on_cpu(self, card: ModelCard, bundle: Path, cancel: CancelToken, report: Report) -> Prepared:
        current = self._cpu.get(score_key(card))
        if current is None:
            report("Loading the model")
            verify_weights(bundle, card)
            current = self._cpu[score_key(card)] = self._first_that_works(card, bundle, cancel, report)
        return current

    def _first_that_works(self, card: ModelCard, bundle: Path, cancel: CancelToken, report: Report) -> Prepared:
        folder = alternatives_folder(self._folders, card)
        choice = remembered(folder)
        order = [F32, TORCH] if choice is None else [choice.engine, F32, *sorted(choice.medians_s), TORCH]
        troubles: list[ModelError] = []
        for name in dict.fromkeys(order):
            if name == TORCH and troubles and card.network == ONNX_NETWORK:
                break  # torch cannot run it
            try:
                ready = self._loaded(name, card, bundle, cancel, report)
            except ModelError as error:
                if name == TORCH:
                    raise
                _log.warning("%s is not used: %s %s", name, error.summary, error.detail)
                troubles.append(error)
                if choice is not None and name == choice.engine:
                    forget(folder)
                continue
            return Prepared(name, ready.engine, _cautions(name, troubles))
        raise troubles[0]

    def _named(self, card: ModelCard, bundle: Path, name: str, cancel: CancelToken, report: Report) -> Prepared:
        if name not in _ALWAYS_AGREE and (score_key(card), name) not in self._ready:
            choice = remembered(alternatives_folder(self._folders, card))
            if choice is None or name not in choice.medians_s:
                self._admit(name, card, bundle, cancel, report)
        return self._loaded(name, card, bundle, cancel, report)

    def _admit(self, name: str, card: ModelCard, bundle: Path, cancel: CancelToken, report: Report) -> None:
        """Raises ModelError where the engine does not give the reference's scores, or cannot be used."""
        self._on_cpu(card, bundle, cancel, report)  # makes the graph
        report("Holding the engine against the reference (only once, some seconds)")
        found = self._alternatives(card, bundle, cancel)
        engine = load_engine(name, card, self._graph(card), found)
        reason = disagreement(engine, found.probes, card, self._scorer, cancel)
        engine.close()
        if reason:
            raise ModelError(
                f"The engine “{name}” is not used for this model. {reason}",
                hint="Choose another engine.",
                code="engine-differs",
            )

    def _loaded(self, name: str, card: ModelCard, bundle: Path, cancel: CancelToken, report: Report) -> Prepared:
        ready = self._ready.get((score_key(card), name))
        if ready is None:
            engine = self._load(name, card, bundle, cancel, report)
            ready = self._ready[score_key(card), name] = Prepared(name, engine)
        return ready

    def _load(self, name: str, card: ModelCard, bundle: Path, cancel: CancelToken, report: Report) -> Engine:
        if name in (TORCH, CUDA):
            report("Loading the reference engine" if name == TORCH else "Loading the model")
            return ChildEngine(self._torch, card, bundle, "cpu" if name == TORCH else CUDA, cancel)
        if name == F32:
            return self._load_f32(card, bundle, cancel, report)
        found = read_alternatives(alternatives_folder(self._folders, card), card)
        return load_engine(name, card, self._graph(card), found)

    def _load_f32(self, card: ModelCard, bundle: Path, cancel: CancelToken, report: Report) -> Engine:
        folder = graph_folder(self._graphs, card)
        try:
            return load_engine(F32, card, folder, None)
        except ModelError as error:
            if error.code != "no-graph":
                raise
        report("Preparing the model for this computer (only once, some seconds)")
        self._torch.call(Convert(card, bundle, folder), cancel)
        if not any(isinstance(ready.engine, ChildEngine) for ready in self._ready.values()):
            self._torch.release()  # half a gigabyte that nobody needs any more
        report("Loading the model")
        return load_engine(F32, card, folder, None)

    def _graph(self, card: ModelCard) -> Path | None:
        try:
            return graph_folder(self._graphs, card)
        except ModelError:
            return None

    def _drop(self, card: ModelCard) -> None:
        """Close every engine of this card in this process."""
        self._cpu.pop(score_key(card), None)
        for key in [key for key in self._ready if key[0] == score_key(card) and key[1] in CANDIDATES]:
            self._ready.pop(key).engine.close()

    # -------------------------------------------------------- choosing

    def _alternatives(self, card: ModelCard, bundle: Path, cancel: CancelToken) -> Alternatives:
        folder = alternatives_folder(self._folders, card)
        found = read_alternatives(folder, card)
        if found is None:
            self._workshop.call(Extend(card, bundle, self._graph(card), folder), cancel)
            self._workshop.release()
            found = read_alternatives(folder, card)
        if found is None:
            raise ModelError("The files of other engines could not be kept.", code="no-engine")
        return found

    def _choose(self, card: ModelCard, bundle: Path, folder: Path, cancel: CancelToken) -> Choice | None:
        found = self._alternatives(card, bundle, cancel)
        refused: dict[str, str] = {}
        agreeing: dict[str, Engine] = {}
        try:
            for name in CANDIDATES:
                cancel.raise_if_cancelled()
                try:
                    engine = load_engine(name, card, self._graph(card), found)
                    agreeing[name] = engine
                    reason = self._verdict(name, engine, found, card, cancel)
                except ModelError as error:
                    reason = f"{error.summary} {error.detail}".strip()
                if reason:
                    refused[name] = reason
                    if name in agreeing:
                        agreeing.pop(name).close()
            if not agreeing:
                return None
            medians = measure(agreeing, found.probes.films[:1], cancel, self._clock)
        finally:
            for engine in agreeing.values():
                engine.close()
        choice = Choice(fastest(medians), medians, refused)
        _log.info("engine for %s: %s; %s; not used: %s", card.model_id, choice.engine, medians, refused)
        remember(folder, choice)
        return choice

    def _verdict(self, name: str, engine: Engine, found: Alternatives, card: ModelCard, cancel: CancelToken) -> str:
        """See :func:`disagreement`; kept, because a reader who is back cancels the choosing again and again."""
        key = (score_key(card), name)
        if key not in self._verdicts:
            self._verdicts[key] = disagreement(engine, found.probes, card, self._scorer, cancel)
        return self._verdicts[key]


def _cautions(name: str, troubles: list[ModelError]) -> tuple[Caution, ...]:
    if not troubles:
        return ()
    why = troubles[-1 if name != TORCH else 0].summary
    if name == TORCH:
        return (Caution("reference-engine", f"The slower reference engine is used. {why}"),)
    other = "ONNX Runtime" if name == ONNX else "OpenVINO"
    return (Caution("other-engine", f"The engine chosen for this computer cannot be used, {other} is. {why}"),)
