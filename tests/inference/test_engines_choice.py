"""The engine of a model: measured among those that agree, remembered, and given up when something is wrong with it."""

from __future__ import annotations

import dataclasses
import gc
import json
import shutil
import types
import weakref
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.errors import CancelledError, ModelError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.cards import file_sha256
from cxr_viewer.inference.engines import BF16, F32, INT8, ONNX, TORCH, alternatives, supply
from cxr_viewer.inference.engines.agreement import disagreement
from cxr_viewer.inference.engines.alternatives import ONNX_NAME, alternatives_folder, read_alternatives
from cxr_viewer.inference.engines.choice import BUDGET_S, Choice, fastest, measure, remember, remembered
from cxr_viewer.inference.engines.supply import EngineSupply
from cxr_viewer.inference.scoring import scores


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow:
    """An engine whose passes take what it is told, one after the other."""

    def __init__(self, clock: Clock, *seconds: float) -> None:
        self._clock, self._seconds, self.passes = clock, seconds, 0

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, None]:
        self._clock.now += self._seconds[min(self.passes, len(self._seconds) - 1)]
        self.passes += 1
        return batch, None


FILM = np.zeros((1, 1, 4, 4), np.float32)


# ---------------------------------------------------------------- measuring


def test_the_median_of_passes_that_take_turns_is_measured() -> None:
    clock = Clock()
    engines = {"a": Slow(clock, 0.010, 0.500, 0.010), "b": Slow(clock, 0.004)}
    found = measure(engines, FILM, CancelToken(), clock)  # type: ignore[arg-type]
    assert found == {"a": pytest.approx(0.010), "b": pytest.approx(0.004)}
    assert engines["a"].passes == engines["b"].passes


@pytest.mark.parametrize(("seconds", "rounds"), [(0.3, 3), (0.06, 16), (3.0, 1)])
def test_measuring_ends_before_its_time_is_over(seconds: float, rounds: int) -> None:
    clock = Clock()
    engines = {"a": Slow(clock, seconds), "b": Slow(clock, seconds)}
    measure(engines, FILM, CancelToken(), clock)  # type: ignore[arg-type]
    assert engines["a"].passes == rounds
    assert clock.now <= BUDGET_S or rounds == 1


def test_measuring_stops_at_once_when_a_film_waits() -> None:
    clock, cancel = Clock(), CancelToken()
    first, second = Slow(clock, 0.01), Slow(clock, 0.01)
    first.run = lambda batch: cancel.cancel()  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(CancelledError):
        measure({"a": first, "b": second}, FILM, cancel, clock)  # type: ignore[dict-item]
    assert second.passes == 0


@pytest.mark.parametrize(
    ("medians", "best"),
    [
        ({F32: 0.020, BF16: 0.007, ONNX: 0.021}, BF16),
        ({F32: 0.020, ONNX: 0.019}, F32),  # not clearly faster: the nearest to the reference stays
        ({ONNX: 0.019, BF16: 0.018}, BF16),
    ],
)
def test_another_engine_has_to_be_clearly_faster(medians: dict[str, float], best: str) -> None:
    assert fastest(medians) == best


# ---------------------------------------------------------------- remembering


def test_a_choice_comes_back_as_it_was(tmp_path: Path) -> None:
    choice = Choice(ONNX, {F32: 0.02, ONNX: 0.01}, {INT8: "A score changes by 0.0388, more than 0.01."})
    remember(tmp_path, choice)
    assert remembered(tmp_path) == choice
    assert [path.name for path in tmp_path.iterdir()] == ["choice.json"]


@pytest.mark.parametrize("spoil", ["missing", "torn", "edited", "foreign", "unknown", "list"])
def test_a_torn_or_foreign_choice_is_none(tmp_path: Path, spoil: str) -> None:
    folder = tmp_path / "tiny-1"
    folder.mkdir()
    remember(folder, Choice("tensorrt" if spoil == "unknown" else ONNX))
    file = folder / "choice.json"
    text = file.read_text()
    if spoil == "missing":
        file.unlink()
    elif spoil == "torn":
        file.write_text(text[: len(text) // 2])
    elif spoil == "edited":
        file.write_text(text.replace(ONNX, INT8))
    elif spoil == "list":
        file.write_text("[1, 2]")
    elif spoil == "foreign":  # copied from another computer
        folder = shutil.copytree(folder, tmp_path / "tiny-2")
    assert remembered(folder) is None


# ---------------------------------------------------------------- choosing, with real engines


@pytest.fixture(scope="module")
def made(tmp_path_factory, bundle, random_network):
    """A tiny bundle, and a cache in which everything for it has been made but nothing was chosen."""
    root = tmp_path_factory.mktemp("made")
    folder, card = bundle(root, random_network())
    owned = EngineSupply(root / "cache", scores)
    owned.prepared(card, folder, "cpu", CancelToken(), lambda stage: None)
    owned._alternatives(card, folder, CancelToken())
    owned.close()
    return folder, card, root / "cache"


@pytest.fixture
def built(made, tmp_path):
    """``built(scorer)``: a supply over a copy of that cache that a test may spoil."""
    cache = shutil.copytree(made[2], tmp_path / "cache")
    owned: list[EngineSupply] = []

    def build(scorer=scores) -> EngineSupply:
        owned.append(EngineSupply(cache, scorer))
        return owned[-1]

    build.cache = cache
    yield build
    for one in owned:
        one.close()


@pytest.fixture
def fast(monkeypatch):
    """``fast(name)``: measuring finds this engine the fastest; counts how often it measures."""
    asked = types.SimpleNamespace(count=0)

    def choose(name: str):
        def found(engines, film, cancel, clock):
            asked.count += 1
            return {engine: 0.001 if engine == name else 0.01 for engine in engines}

        monkeypatch.setattr(supply, "measure", found)
        return asked

    return choose


def on_cpu(owned: EngineSupply, made, device: str = "cpu") -> supply.Prepared:
    return owned.prepared(made[1], made[0], device, CancelToken(), lambda stage: None)


def settle(owned: EngineSupply, made) -> Choice | None:
    return owned.settle(made[1], made[0], CancelToken())


def test_the_first_film_is_answered_before_anything_is_measured(built, made, fast) -> None:
    asked = fast(ONNX)
    owned = built()
    assert not owned.needs_settling(made[1])
    first = on_cpu(owned, made)
    assert (first.name, first.engine.device_name, asked.count) == (F32, "CPU (OpenVINO)", 0)
    assert owned.needs_settling(made[1])


def test_the_fastest_is_taken_and_remembered(built, made, fast) -> None:
    asked = fast(ONNX)
    owned = built()
    on_cpu(owned, made)
    choice = settle(owned, made)
    assert choice is not None
    assert {F32, ONNX} <= set(choice.medians_s)
    assert (choice.engine, on_cpu(owned, made).engine.device_name) == (ONNX, "CPU (ONNX Runtime)")
    assert not owned.needs_settling(made[1])
    again = built()
    assert on_cpu(again, made).name == ONNX  # and its first film has it at once
    assert settle(again, made) == choice
    assert asked.count == 1


def test_what_is_held_for_a_removed_model_is_given_back(built, made, fast, bundle, random_network) -> None:
    fast(ONNX)
    owned = built()
    _, card = other = bundle(built.cache / "others", random_network(seed=5), model_id="other")
    on_cpu(owned, made)
    settle(owned, made)
    gone = weakref.ref(on_cpu(owned, made).engine)
    stays = on_cpu(owned, other).engine
    owned.prepared(made[1], made[0], "torch", CancelToken(), lambda stage: None)
    owned.keep_only([card, made[1]])
    assert on_cpu(owned, made).engine is gone()
    owned.keep_only([card])
    gc.collect()
    assert gone() is None
    assert not owned._torch.running  # it held the removed model's weights, too
    assert on_cpu(owned, other).engine is stays
    assert on_cpu(owned, made).engine.device_name == "CPU (ONNX Runtime)"  # installed again


def test_a_torn_choice_is_measured_again(built, made, fast) -> None:
    asked = fast(ONNX)
    settle_first = built()
    on_cpu(settle_first, made)
    settle(settle_first, made)
    (alternatives_folder(built.cache / "engines", made[1]) / "choice.json").write_text('{"choice": "{')
    owned = built()
    assert on_cpu(owned, made).name == F32
    settle(owned, made)
    assert (on_cpu(owned, made).name, asked.count) == (ONNX, 2)


def test_cancelling_leaves_nothing_chosen(built, made, fast) -> None:
    owned = built()
    on_cpu(owned, made)
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(CancelledError):
        owned.settle(made[1], made[0], cancel)
    assert owned.needs_settling(made[1])
    assert remembered(alternatives_folder(built.cache / "engines", made[1])) is None


def test_what_was_found_out_before_a_film_came_is_not_tried_again(built, made, fast, monkeypatch) -> None:
    fast(ONNX)
    owned = built()
    on_cpu(owned, made)
    tried: list[str] = []
    known = supply.disagreement

    def interrupted(engine, *given):
        tried.append(engine.device_name)
        if len(tried) == 2:
            raise CancelledError()
        return known(engine, *given)

    monkeypatch.setattr(supply, "disagreement", interrupted)
    with pytest.raises(CancelledError):
        settle(owned, made)
    assert settle(owned, made) is not None
    assert tried.count("CPU (OpenVINO)") == 1


def test_an_engine_whose_scores_differ_is_no_candidate(built, made, fast) -> None:
    """A scorer that magnifies: float32 engines still agree, a difference of bfloat16's size does not."""
    fast(BF16)
    owned = built(lambda card, logits: logits * 300)
    on_cpu(owned, made)
    choice = settle(owned, made)
    assert choice is not None
    assert choice.engine != BF16
    if "This processor does not compute" not in choice.refused[BF16]:
        assert "A score changes by" in choice.refused[BF16]
    with pytest.raises(ModelError) as error:
        on_cpu(owned, made, BF16)
    assert error.value.code in ("engine-differs", "no-engine")


def test_a_map_that_moves_is_noticed(built, made) -> None:
    owned = built()
    engine = on_cpu(owned, made).engine
    found = read_alternatives(alternatives_folder(built.cache / "engines", made[1]), made[1])
    assert found is not None
    assert found.probes.maps is not None
    assert disagreement(engine, found.probes, made[1], scores, CancelToken()) == ""
    shifted = dataclasses.replace(found.probes, maps=np.roll(found.probes.maps, 2, axis=3))
    assert "heat map changes" in disagreement(engine, shifted, made[1], scores, CancelToken())


# ---------------------------------------------------------------- something is wrong


@pytest.mark.parametrize("whole", [False, True])
def test_a_broken_file_of_the_chosen_engine_is_answered_by_the_next(built, made, fast, whole: bool) -> None:
    """``whole``: the manifest's digest fits, so that only the library can notice."""
    fast(ONNX)
    first = built()
    on_cpu(first, made)
    settle(first, made)
    folder = alternatives_folder(built.cache / "engines", made[1])
    (folder / ONNX_NAME).write_bytes(b"no graph at all")
    if whole:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"][ONNX_NAME] = file_sha256(folder / ONNX_NAME)
        (folder / "manifest.json").write_text(json.dumps(manifest))
    ready = on_cpu(built(), made)
    assert ready.name == F32
    assert [caution.code for caution in ready.cautions] == ["other-engine"]
    assert "The engine chosen for this computer cannot be used, OpenVINO is." in ready.cautions[0].text
    assert remembered(folder) is None  # it is measured again


def test_another_version_of_a_library_is_measured_again(built, made, fast, monkeypatch) -> None:
    asked = fast(ONNX)
    first = built()
    on_cpu(first, made)
    settle(first, made)
    known = alternatives._version
    monkeypatch.setattr(alternatives, "_version", lambda name: "99" if name == "onnxruntime" else known(name))
    owned = built()
    ready = on_cpu(owned, made)
    assert (ready.name, ready.cautions, asked.count) == (F32, (), 1)
    assert remembered(alternatives_folder(built.cache / "engines", made[1])) is None


def test_without_openvino_the_other_engine_answers_and_says_so(built, made, fast, monkeypatch) -> None:
    fast(F32)
    first = built()
    on_cpu(first, made)
    settle(first, made)

    def gone(*_: object) -> Path:
        raise ModelError("OpenVINO cannot be loaded.", code="no-openvino")

    monkeypatch.setattr(supply, "graph_folder", gone)
    ready = on_cpu(built(), made)
    assert ready.engine.device_name == "CPU (ONNX Runtime)"
    assert [caution.code for caution in ready.cautions] == ["other-engine"]


def test_no_engine_but_the_reference_is_told(built, made, monkeypatch) -> None:
    def gone(*_: object) -> None:
        raise ModelError("OpenVINO is not installed.", code="no-openvino")

    monkeypatch.setattr(supply, "load_engine", gone)
    owned = built()
    ready = on_cpu(owned, made)
    assert (ready.name, ready.engine.device_name) == (TORCH, "CPU (torch)")
    assert ready.cautions[0].text == "The slower reference engine is used. OpenVINO is not installed."
    assert settle(owned, made) is None
    assert on_cpu(owned, made) is ready


def test_an_unknown_engine_is_told_with_those_there_are(built, made) -> None:
    with pytest.raises(ModelError, match="no device “tensorrt”") as error:
        on_cpu(built(), made, "tensorrt")
    assert "openvino-bf16" in error.value.hint
