"""Heat maps: equal to the ``grad-cam`` library, on one scale, in the right place."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest
import torch

from cxr_viewer.core.errors import CancelledError, ModelError
from cxr_viewer.core.findings import InputSpec, MapEvidence, MapScale, MapTrust, ModelCard, Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference import explain, explain_passes
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines import Engine
from cxr_viewer.inference.engines.library import LIBRARY_METHODS, earlier_layer
from cxr_viewer.inference.engines.probes import usual_lungs
from cxr_viewer.inference.engines.torch import TorchEngine, load_bundle
from cxr_viewer.inference.explain_run import Question, explained
from cxr_viewer.inference.networks import CamNetwork, build_network
from cxr_viewer.inference.runner import model_input


def library_map(network: torch.nn.Module, film: np.ndarray, label: int) -> np.ndarray:
    """What the library gives to its users: (size, size), stretched to 0..1."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with GradCAM(model=network, target_layers=[network.relu]) as cam:
        return cam(input_tensor=torch.from_numpy(film), targets=[ClassifierOutputTarget(label)])[0]


@pytest.mark.parametrize("name", ["cr_rsna_ap_viral2_jpegbaseline.dcm", "dx_canon_pa_mono1_12bit_j2klossless.dcm"])
def test_maps_of_the_bundled_model_equal_the_librarys(real_films, real_engine, real_card, name) -> None:
    """On real films, from the OpenVINO engine's one pass: as raw values, and after the library's own scaling."""
    from pytorch_grad_cam.utils.image import scale_cam_image

    image = real_films[name]
    film, _ = model_input(image, real_card, usual_lungs(image.rows, image.columns))
    network = load_bundle(real_card, BundleCatalog().folder(real_card.model_id))
    reference = TorchEngine(network)
    _, features = real_engine.run(film)
    ours = explain.grad_cam(features[0], real_engine.head_weights)
    assert ours.max() > 0.1  # a map of zeros would prove nothing

    cells = ours.shape[1] * ours.shape[2]
    np.testing.assert_allclose(ours / cells, reference.library_maps(film, "Grad-CAM"), rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours, cells * reference.library_maps(film, "Grad-CAM"), rtol=0, atol=1e-4)
    scaled = scale_cam_image(scale_cam_image(ours, film.shape[2:]))  # the library does it per layer and once more
    np.testing.assert_allclose(scaled[0], library_map(network, film, 0), rtol=0, atol=1e-4)


def test_maps_of_several_findings_equal_the_librarys(random_network) -> None:
    network = random_network(outputs=5)
    film = np.random.default_rng(3).standard_normal((1, 1, 64, 64)).astype(np.float32)
    engine = TorchEngine(network)
    _, features = engine.run(film)
    ours = explain.grad_cam(features[0], engine.head_weights)
    theirs = engine.library_maps(film, "Grad-CAM")
    assert ours.shape == theirs.shape == (5, 8, 8)
    np.testing.assert_allclose(ours, 64 * theirs, rtol=0, atol=1e-4)


def test_a_tenth_of_the_film_at_full_heat_multiplies_the_odds_by_ten(card) -> None:
    """The scale's own definition, from head to probability."""
    own = card(temperature=0.7, bias=0.3)
    features = np.zeros((1, 10, 10), dtype=np.float32)
    weights = np.ones((2, 1), dtype=np.float32)
    features[0, 0, :] = explain.reference_heat(own)  # 10 of 100 cells

    maps = explain.on_common_scale(explain.grad_cam(features, weights), own)
    np.testing.assert_allclose(maps[0, 0], 1.0, rtol=1e-6)
    assert not maps[:, 1:].any()

    def odds(logit: float) -> float:
        return math.exp(logit / own.temperature + own.bias)

    assert odds(float(features.mean())) / odds(0.0) == pytest.approx(10.0, rel=1e-5)


def test_hotter_films_are_paled_as_a_whole_and_nothing_is_cut_off(card) -> None:
    own = card()
    reference = explain.reference_heat(own)
    maps = np.array([[[0.0, 0.5, 2.0]], [[0.25, 1.0, 0.0]]], dtype=np.float32) * np.float32(reference)
    scaled = explain.on_common_scale(maps, own)
    np.testing.assert_allclose(scaled, [[[0.0, 0.25, 1.0]], [[0.125, 0.5, 0.0]]], rtol=1e-6)


def test_a_film_without_heat_has_an_empty_map(card) -> None:
    features = np.ones((1, 3, 3), dtype=np.float32)
    maps = explain.on_common_scale(explain.grad_cam(features, -np.ones((2, 1), dtype=np.float32)), card())
    assert not maps.any()


def test_maps_carry_label_place_and_method_and_cannot_be_changed(card) -> None:
    seen = ImageRect(-5, 0, 30, 20)
    first, second = explain.heatmaps(card(), np.zeros((2, 4, 5), dtype=np.float32), seen, "LayerCAM")
    assert (first.label, second.label) == ("Bright", "Other")
    assert first.extent == seen
    assert (first.method, first.scale) == ("LayerCAM", MapScale.COMMON)
    with pytest.raises(ValueError, match="read-only"):
        first.values[0, 0] = 1.0


# ---------------------------------------------------------------- other methods


def question(card: ModelCard, engine: Engine, film: np.ndarray) -> Question:
    """What the runner would ask; torch's own process is not needed where the engine is torch already."""
    logits, features = engine.run(film)
    return Question(card, engine, film, logits, features, ImageRect(0, 0, 64, 64), lambda: engine)  # type: ignore[arg-type,return-value]


class InThisProcess(TorchEngine):
    """Torch as the child process has it, with the child's signature."""

    def library_maps(self, film, method, cancel=None):
        return super().library_maps(film, method)


def silent(stage: str) -> None:
    """Nobody listens."""


def field_network(name: str, outputs: int) -> CamNetwork:
    """A network of the field with weights and running statistics that are not trivial."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = build_network(name, outputs)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return network.eval()


FIELD = ("densenet121-txrv", "resnet50-txrv")


@pytest.mark.parametrize("name", FIELD)
def test_maps_of_the_networks_of_the_field_equal_the_librarys(name) -> None:
    """A ReLU in place would overwrite what the library's hooks have stored, on the CPU only."""
    engine = TorchEngine(field_network(name, 3))
    film = np.random.default_rng(2).standard_normal((1, 1, 128, 128)).astype(np.float32)
    _, features = engine.run(film)
    ours = explain.grad_cam(features[0], engine.head_weights)
    theirs = engine.library_maps(film, "Grad-CAM")
    assert ours.shape == theirs.shape == (3, 4, 4)
    assert theirs.max() > 0
    np.testing.assert_allclose(ours / 16, theirs, rtol=0, atol=1e-5 * float(theirs.max()))


@pytest.mark.parametrize("method", ["Grad-CAM++", "LayerCAM", "EigenCAM"])
def test_maps_of_all_findings_from_one_pass_are_those_the_library_gives_one_by_one(random_network, method) -> None:
    """After the library's own scaling, which it does for each layer and once more."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    network = random_network(outputs=3)
    film = np.random.default_rng(4).standard_normal((1, 1, 64, 64)).astype(np.float32)
    ours = TorchEngine(network).library_maps(film, method)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    with getattr(pytorch_grad_cam, LIBRARY_METHODS[method])(model=network, target_layers=[network.relu]) as cam:
        for label in range(3):
            theirs = cam(input_tensor=torch.from_numpy(film), targets=[ClassifierOutputTarget(label)])
            scaled = scale_cam_image(scale_cam_image(ours[label : label + 1], (64, 64)))
            if method == "EigenCAM" and np.corrcoef(scaled.ravel(), theirs.ravel())[0, 1] < 0.5:
                continue  # the library may turn the sign of its component; ours points to where the network is active
            np.testing.assert_allclose(scaled, theirs, rtol=0, atol=1e-4)


def test_score_cam_of_all_findings_from_the_same_passes_equals_the_librarys(monkeypatch, random_network) -> None:
    monkeypatch.setattr("tqdm.tqdm.monitor_interval", 0)  # the library's progress bar would leave a thread
    engine = TorchEngine(random_network(outputs=3))
    film = np.random.default_rng(4).standard_normal((1, 1, 64, 64)).astype(np.float32)
    _, features = engine.run(film)
    ours = explain_passes.score_cam(engine, film, features[0], CancelToken(), lambda done, total: None)
    theirs = engine.library_maps(film, "ScoreCAM")
    assert theirs.max() > 0
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "earlier"), [*zip(FIELD, ("transition3.relu", "layer3"), strict=True)])
def test_the_finer_layer_is_the_end_of_the_stage_before_the_last(name, earlier) -> None:
    network = field_network(name, 2)
    found = earlier_layer(network, torch.randn(1, 1, 96, 96))
    assert found == (network.trunk.get_submodule(earlier),)


@pytest.mark.parametrize("name", FIELD)
def test_layer_cam_fine_is_layer_cam_of_two_layers_worked_out_by_hand(name) -> None:
    """From torch's own gradients, without the library and without anything kept between passes."""
    network = field_network(name, 2)
    film = np.random.default_rng(2).standard_normal((1, 1, 96, 96)).astype(np.float32)
    engine = TorchEngine(network)
    found = engine.library_maps(film, explain.LAYER_CAM_FINE)
    assert found.shape == (2, 6, 6)
    assert all(weight.requires_grad for weight in network.parameters())

    kept: list[torch.Tensor] = []
    layers = [*earlier_layer(network, torch.from_numpy(film)), network.relu]
    handles = [layer.register_forward_hook(lambda layer, given, out: kept.append(out)) for layer in layers]
    logits = network(torch.from_numpy(film))
    for handle in handles:
        handle.remove()
    for label in range(2):
        slopes = torch.autograd.grad(logits[0, label], kept, retain_graph=True)
        raw = [(s.clamp(min=0) * a).sum(dim=1)[0].detach().numpy() for s, a in zip(slopes, kept, strict=True)]
        fused = [cv2.resize(each / each.max(), (6, 6)) for each in raw]
        np.testing.assert_allclose(found[label], np.mean(fused, axis=0), rtol=0, atol=1e-4)
    np.testing.assert_allclose(
        engine.run(film)[0], logits.detach().numpy(), rtol=0, atol=1e-5
    )  # nothing is left behind


def test_layer_cam_fine_has_twice_the_cells_and_is_the_librarys_fusion(random_network) -> None:
    """The library fuses at the size of the film, we at that of the finer map, so they agree up to interpolation."""
    from pytorch_grad_cam import LayerCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    network = random_network(outputs=2)
    film = np.random.default_rng(4).standard_normal((1, 1, 64, 64)).astype(np.float32)
    engine = TorchEngine(network)
    fine = engine.library_maps(film, explain.LAYER_CAM_FINE)
    assert fine.shape == (2, 16, 16)
    given = torch.from_numpy(film)
    with LayerCAM(model=network, target_layers=[*earlier_layer(network, given), network.relu]) as cam:
        theirs = cam(input_tensor=given, targets=[ClassifierOutputTarget(1)])[0]
    ours = cv2.resize(fine[1], (64, 64))
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("method", explain.METHODS[1:])
def test_other_methods_point_and_stand_on_the_same_scale(card, bright_network, method) -> None:
    """The network sees brightness only, so every method has to point at the bright square."""
    film = np.full((1, 1, 64, 64), -1.0, dtype=np.float32)
    film[..., 40:56, 8:24] = 2.0
    asked = question(card(), InThisProcess(bright_network), film)
    assert asked.logits[0, 0] > 0
    (first, second), said = explained(asked, method, CancelToken(), silent)
    assert not said
    hot_y, hot_x = (np.array(np.unravel_index(first.values.argmax(), first.values.shape)) + 0.5) / first.values.shape
    assert 40 < 64 * hot_y < 56
    assert 8 < 64 * hot_x < 24
    assert not second.values.any()  # the second label has no weights, so it has no heat by any method
    free, _ = explained(asked, explain.GRAD_CAM, CancelToken(), silent)
    if method not in explain.IN_LOGITS:
        assert first.values.max() == pytest.approx(free[0].values.max())


def test_the_librarys_own_scaling_is_not_in_our_maps(random_network) -> None:
    """Twice the head weights are twice the heat; the library's maps from 0 to 1 would not change."""
    film = np.random.default_rng(3).standard_normal((1, 1, 64, 64)).astype(np.float32)
    once, twice = random_network(outputs=1), random_network(outputs=1)
    with torch.no_grad():
        twice.classifier.weight.mul_(2)
    for method in ("Grad-CAM", "LayerCAM"):
        a, b = (TorchEngine(network).library_maps(film, method) for network in (once, twice))
        np.testing.assert_allclose(b, 2 * a, rtol=1e-5)


def test_an_unknown_method_is_told(random_network) -> None:
    engine = TorchEngine(random_network())
    with pytest.raises(ModelError, match="no heat map method “Guesswork”") as error:
        engine.library_maps(np.zeros((1, 1, 64, 64), dtype=np.float32), "Guesswork")
    assert error.value.code == "unknown-method"


# ---------------------------------------------------------------- further passes, black boxes, segmenters


class Linear:
    """A black box whose logits are weighted means of the film."""

    device_name = "nowhere"
    head_weights = None

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights
        self.asked: list[int] = []

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, None]:
        self.asked.append(len(batch))
        return np.tensordot(batch[:, 0], self.weights, ((1, 2), (1, 2))).astype(np.float32) / batch[0, 0].size, None

    def close(self) -> None:
        """Nothing is held."""


def test_occlusion_of_a_linear_model_is_what_can_be_worked_out(card) -> None:
    """The fall of a weighted mean, when a patch turns grey, is the weight of what was brighter than grey there."""
    random = np.random.default_rng(6)
    film = random.standard_normal((1, 1, 70, 70)).astype(np.float32)
    weights = random.uniform(-1, 1, (2, 70, 70))
    found = explain_passes.occlusion(Linear(weights), film, CancelToken(), lambda done, total: None)
    lost = weights * (film[0, 0] - film.mean())
    expected = np.zeros((2, 14, 14))
    for row in range(14):
        for column in range(14):
            patches = [
                (slice(max(0, 5 * r), 5 * r + 10), slice(max(0, 5 * c), 5 * c + 10))
                for r in (row - 1, row)
                for c in (column - 1, column)
            ]
            area = sum(np.ones((70, 70))[patch].sum() for patch in patches)
            expected[:, row, column] = sum(lost[:, *patch].sum(axis=(1, 2)) for patch in patches) / area / 49
    assert expected.min() < 0 < expected.max()
    np.testing.assert_allclose(found, np.maximum(expected, 0), rtol=0, atol=1e-5)


def test_at_full_heat_hiding_a_patch_divides_the_odds_by_ten(card) -> None:
    """The scale's own definition, from pixels to probability: two black boxes, one film, all in one patch."""
    own = card(temperature=0.7, bias=0.3)
    film = np.zeros((1, 1, 70, 70), dtype=np.float32)
    film[..., 20:30, 30:40] = 1.0
    film[..., 50:60, 30:40] = -1.0  # so that the mean, which hides, is 0
    weights = np.zeros((2, 70, 70))
    weights[0, 20:30, 30:40] = 49 * math.log(10) * 0.7
    asked = question(own, Linear(weights), film)
    hidden = film.copy()
    hidden[..., 20:30, 30:40] = 0.0
    odds = [math.exp(float(asked.engine.run(each)[0][0, 0]) / 0.7 + 0.3) for each in (film, hidden)]
    assert odds[0] / odds[1] == pytest.approx(10)
    (first, _), _ = explained(asked, explain.OCCLUSION, CancelToken(), silent)
    # Of the four patches over a cell of the square one hides it whole, two a half, one a quarter.
    assert first.values.max() == pytest.approx((1 + 0.5 + 0.5 + 0.25) / 4, rel=1e-4)


def test_passes_come_in_batches_tell_how_far_they_are_and_can_be_cancelled() -> None:
    film = np.random.default_rng(6).standard_normal((1, 1, 70, 70)).astype(np.float32)
    black_box, told = Linear(np.ones((2, 70, 70))), []
    explain_passes.occlusion(black_box, film, CancelToken(), lambda done, total: told.append((done, total)))
    assert sum(black_box.asked) == 1 + 15 * 15
    assert max(black_box.asked) == explain_passes.BATCH
    assert told == [(done, 225) for done in range(0, 225, explain_passes.BATCH)]

    black_box, cancel = Linear(np.ones((2, 70, 70))), CancelToken()

    def stop(done: int, total: int) -> None:
        if done >= 16:
            cancel.cancel()

    with pytest.raises(CancelledError):
        explain_passes.occlusion(black_box, film, cancel, stop)
    assert sum(black_box.asked) == 1 + 24  # the batch that was under way is the last


def test_a_black_box_is_explained_by_occlusion_and_by_nothing_else(card) -> None:
    weights = np.zeros((2, 64, 64))
    weights[0, 40:56, 8:24] = 10.0
    film = np.full((1, 1, 64, 64), -1.0, dtype=np.float32)
    film[..., 40:56, 8:24] = 2.0
    own = card()
    assert explain.methods_of(own, has_head=False) == (explain.OCCLUSION,)
    asked = question(own, Linear(weights), film)
    assert explained(asked, explain.GRAD_CAM, CancelToken(), silent) == ((), ())
    maps, (said,) = explained(asked, "LayerCAM", CancelToken(), silent)
    assert not maps
    assert said.text == "LayerCAM cannot explain the model “Tiny”; this model can be explained by Occlusion."
    stages: list[str] = []
    (first, second), said = explained(asked, explain.OCCLUSION, CancelToken(), stages.append)
    assert not said
    assert not second.values.any()
    row, column = np.unravel_index(first.values.argmax(), first.values.shape)
    assert 40 < (row + 0.5) * 64 / 14 < 56
    assert 8 < (column + 0.5) * 64 / 14 < 24
    assert stages[0] == "Explaining"
    assert stages[1:] == [f"Explaining ({tenth} %)" for tenth in range(10, 100, 10)]


def test_a_model_in_onnx_with_a_head_has_the_methods_that_need_no_gradient(card) -> None:
    own = card(network="onnx")
    assert explain.methods_of(own, has_head=True) == ("Grad-CAM", "ScoreCAM", "Occlusion")
    assert explain.methods_of(card(), has_head=True) == explain.METHODS
    assert explain.methods_of(card(task=Task.SEGMENT), has_head=False) == ()


def test_a_segmenter_gives_outlines_whatever_map_is_asked_for(card) -> None:
    own = card(task=Task.SEGMENT, temperature=1.0, bias=0.0)
    logits = np.array([[[[0.0, 2.0]], [[-3.0, 0.0]]]], dtype=np.float32)
    asked = Question(
        own, Linear(np.zeros((2, 2, 2))), np.zeros((1, 1, 2, 2)), logits, None, ImageRect(1, 2, 3, 4), list
    )
    (first, second), said = explained(asked, "LayerCAM", CancelToken(), silent)
    assert not said
    assert (first.label, first.method, first.scale) == ("Bright", "Segmentation", MapScale.PROBABILITY)
    assert first.extent == ImageRect(1, 2, 3, 4)
    np.testing.assert_allclose(first.values, [[0.5, 1 / (1 + math.exp(-2))]], rtol=1e-6)
    np.testing.assert_allclose(second.values, [[1 / (1 + math.exp(3)), 0.5]], rtol=1e-6)


@pytest.mark.parametrize("method", explain.PASSES)
def test_passes_on_openvino_give_torchs_maps(real_films, real_engine, real_card, method) -> None:
    image = real_films["cr_rsna_ap_viral2_jpegbaseline.dcm"]
    film, _ = model_input(image, real_card, usual_lungs(image.rows, image.columns))
    torch_engine = TorchEngine(load_bundle(real_card, BundleCatalog().folder(real_card.model_id)))
    ours, theirs = (
        explained(question(real_card, engine, film), method, CancelToken(), silent)[0][0].values
        for engine in (real_engine, torch_engine)
    )
    assert ours.max() > 0.1
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3)


def test_every_map_says_how_far_it_may_be_trusted(card) -> None:
    def known(label: str, method: str, beats: bool) -> MapEvidence:
        return MapEvidence(label, method, 0.6, 0.5, 0.7, 0.3, 0.2, 0.1, 40, "boxes", beats)

    own = card(map_evidence=(known("Bright", "Grad-CAM", True), known("Other", "Grad-CAM", False)))
    maps, seen = np.zeros((2, 4, 5), dtype=np.float32), ImageRect(0, 0, 5, 4)
    assert [each.trust for each in explain.heatmaps(own, maps, seen)] == [MapTrust.RELIABLE, MapTrust.NOT_RELIABLE]
    other = explain.heatmaps(own, maps, seen, "LayerCAM")
    assert [each.trust for each in other] == [MapTrust.NOT_TESTED, MapTrust.NOT_TESTED]


# ---------------------------------------------------------------- placement


def with_square(rows: int, columns: int, square: tuple[int, int, int, int]) -> np.ndarray:
    """A film of middle grey with a black and a white strip (so that 0..1 is used) and a bright square.

    Args:
        square: first row, first column, rows, columns.
    """
    stored = np.full((rows, columns), 1000, dtype=np.uint16)
    stored += np.random.default_rng(1).integers(0, 30, stored.shape, dtype=np.uint16)
    stored[::4, ::4] = 0
    row, column, height, width = square
    stored[row : row + height, column : column + width] = 4000
    return stored


def framed(stored: np.ndarray, top: int, right: int, bottom: int, left: int) -> np.ndarray:
    """With an unexposed frame around it."""
    return np.pad(stored, ((top, bottom), (left, right)))


@pytest.mark.parametrize("size_px", [64, 192])
@pytest.mark.parametrize("crop_border", [True, False])
@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("inverted", [False, True])
def test_the_hottest_cell_lies_on_a_bright_square(
    card, film, bright_network, size_px, crop_border, fit, inverted
) -> None:
    """Through border cut, fit and resize, on a tall film with an uneven frame, for both polarities."""
    stored = framed(with_square(640, 420, (300, 250, 90, 90)), 60, 30, 10, 80)
    row, column = 300 + 60, 250 + 80
    if inverted:
        stored = (4095 - stored).astype(np.uint16)
    image = film(stored, photometric="MONOCHROME1" if inverted else "MONOCHROME2")
    own = card(input=InputSpec(size_px, fit, crop_border, mean=0.5, std=0.25))

    given, seen = model_input(image, own)
    engine = TorchEngine(bright_network)
    _, features = engine.run(given)
    values = explain.heatmaps(own, explain.grad_cam(features[0], engine.head_weights), seen)[0].values

    rows, columns = values.shape
    cell_width, cell_height = seen.width / columns, seen.height / rows
    x = seen.x + (np.arange(columns) + 0.5) * cell_width
    y = seen.y + (np.arange(rows) + 0.5) * cell_height
    hot_row, hot_column = np.unravel_index(values.argmax(), values.shape)
    assert row < y[hot_row] < row + 90
    assert column < x[hot_column] < column + 90
    # The centre of all heat is the centre of the square, to a quarter of a cell.
    total = values.sum()
    assert (values.sum(axis=0) * x).sum() / total == pytest.approx(column + 45, abs=cell_width / 4)
    assert (values.sum(axis=1) * y).sum() / total == pytest.approx(row + 45, abs=cell_height / 4)


def test_padding_reaches_outside_the_film_and_is_never_hot(card, film, bright_network) -> None:
    stored = with_square(400, 200, (150, 60, 80, 80))
    own = card(input=InputSpec(64, "pad", False, mean=0.5, std=0.25))
    given, seen = model_input(film(stored), own)
    assert (seen.x, seen.right) == (-100, 300)
    _, features = TorchEngine(bright_network).run(given)
    values = explain.grad_cam(features[0], np.eye(2, features.shape[1], dtype=np.float32))[0]
    cell = seen.width / values.shape[1]
    outside = [i for i in range(values.shape[1]) if not -cell < seen.x + (i + 0.5) * cell < 200 + cell]
    assert len(outside) >= 2
    assert not values[:, outside].any()


def test_the_card_decides_the_scale_alone(card) -> None:
    """The same heat looks the same on every film: nothing of the film enters below the reference."""
    own = card()
    heat = np.float32(explain.reference_heat(own) / 4)
    quiet = np.array([[[heat, 0.0]]], dtype=np.float32)
    busy = np.array([[[heat, 3 * heat]]], dtype=np.float32)
    assert explain.on_common_scale(quiet, own)[0, 0, 0] == explain.on_common_scale(busy, own)[0, 0, 0] == 0.25
    warmer = dataclasses.replace(own, temperature=2 * own.temperature)
    assert explain.reference_heat(warmer) == 2 * explain.reference_heat(own)
