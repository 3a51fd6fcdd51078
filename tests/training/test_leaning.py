"""The probes tell a network that reads the lungs from one that reads the frame."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_viewer.core.findings import InputSpec
from cxr_viewer.training.leaning import blanked, framed, leaning, moved

SPEC = InputSpec(40, "stretch", False, 0.5, 0.25, crop="lungs")
FILMS = 300


def films() -> tuple[np.ndarray, np.ndarray]:
    """Films whose label is told by a disc of the middle and, for most, by a strip at the upper edge."""
    chance = np.random.default_rng(3)
    truth = (np.arange(FILMS) % 2).astype(np.float64)
    inputs = chance.normal(0, 0.3, (FILMS, 1, 40, 40)).astype(np.float32)
    inputs[truth == 1, :, 14:26, 14:26] += 1
    inputs[truth == 1, :, :2, :] += 1
    truth[:8] = 1 - truth[:8]  # labels are never quite right
    return inputs, truth


def lungs(inputs: np.ndarray) -> np.ndarray:
    return inputs[:, 0, 10:30, 10:30].mean(axis=(1, 2)).astype(np.float64)


def frame(inputs: np.ndarray) -> np.ndarray:
    return inputs[:, 0, :2].mean(axis=(1, 2)).astype(np.float64)


def probed(score) -> dict[str, float]:
    inputs, truth = films()
    patients = [str(index // 2) for index in range(FILMS)]
    metrics = leaning("Pneumonia", truth, inputs, score, patients, "films", SPEC)
    assert all(metric.label == "Pneumonia" and metric.count == FILMS for metric in metrics)
    assert all(one.low is None or one.low <= one.value <= one.high for one in metrics)  # None: all scores alike
    return {metric.name: metric.value for metric in metrics}


def test_a_network_that_reads_the_lungs_is_blind_without_them_and_keeps_its_answer_in_any_frame() -> None:
    found = probed(lungs)
    assert all(abs(found[f"AUC, centre blanked {share}%"] - 0.5) < 0.12 for share in (60, 70, 80))
    assert found["AUC, frame of another film"] > 0.9
    assert abs(found["AUC of the frame's own label"] - 0.5) < 0.1
    assert found["AUC, cut moved by 5%"] > 0.9


def test_a_network_that_reads_the_frame_is_found_out() -> None:
    found = probed(frame)
    assert all(found[f"AUC, centre blanked {share}%"] > 0.9 for share in (60, 70, 80))
    assert abs(found["AUC, frame of another film"] - 0.5) < 0.1
    assert found["AUC of the frame's own label"] > 0.9


def test_films_of_unknown_truth_count_nowhere() -> None:
    inputs, truth = films()
    truth[:100] = np.nan
    metrics = leaning("Pneumonia", truth, inputs, lungs, ["p"] * 100 + [str(i) for i in range(200)], "films", SPEC)
    assert {metric.count for metric in metrics} == {200}


@pytest.mark.parametrize("share", [0.6, 0.7, 0.8])
def test_blanked_is_black_in_the_middle_and_untouched_around_it(share: float) -> None:
    inputs, _ = films()
    colour = InputSpec(
        40, "stretch", False, 0.0, 1.0, channels=3, channel_means=(0.1, 0.2, 0.3), channel_stds=(1, 2, 3)
    )
    three = np.repeat(inputs, 3, axis=1)
    out = blanked(three, share, colour)
    changed = (out != three).any(axis=(0, 1))
    assert changed.sum() == round(40 * share) ** 2
    assert out[0, :, 20, 20] == pytest.approx([-0.1, -0.1, -0.1])
    assert blanked(inputs, share, SPEC)[0, 0, 20, 20] == -2.0


def test_framed_and_moved_take_the_right_parts() -> None:
    inputs, _ = films()
    other = np.full_like(inputs, 7)
    out = framed(inputs, other)
    assert np.array_equal(out[:, :, 4:36, 4:36], inputs[:, :, 4:36, 4:36])
    assert (out[:, :, :4] == 7).all()
    assert (out[:, :, :, 36:] == 7).all()
    steps = set()
    shifted = moved(inputs, np.random.default_rng(0))
    for before, after in zip(inputs, shifted, strict=True):
        found = [
            (y, x)
            for y in (-2, 0, 2)
            for x in (-2, 0, 2)
            if np.array_equal(after[0, 4:36, 4:36], before[0, 4 + y : 36 + y, 4 + x : 36 + x])
        ]
        assert len(found) == 1
        steps.add(found[0])
    assert len(steps) == 8
    assert (0, 0) not in steps
