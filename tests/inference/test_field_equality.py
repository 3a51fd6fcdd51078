"""Our way from film to scores and maps is TorchXRayVision's own, for the same weights, on every film that can be read.

The weights are made here, at random, with batch statistics and biases from a few real films, so that scores lie on both
sides of the operating points and differ between films. They are stored in the form in which the library publishes its
own: a whole pickled module, a state dict, and the state dict of a ``DataParallel``.
"""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cxr_viewer.core.findings import InputSpec, LabelSpec, ModelCard, ScoreKind
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.study import FoundImage
from cxr_viewer.inference.engines.torch import TorchEngine
from cxr_viewer.inference.explain import grad_cam
from cxr_viewer.inference.networks import from_published, load_network, load_segmenter
from cxr_viewer.inference.preprocess import model_grey, see
from cxr_viewer.inference.scoring import findings

with warnings.catch_warnings():  # the library sets filters of its own while it is imported
    import torchxrayvision
    from torchxrayvision.baseline_models import chestx_det
    from torchxrayvision.datasets import XRayCenterCrop, XRayResizer
    from torchxrayvision.utils import read_xray_dcm

LOG = logging.getLogger(__name__)
"""How far apart we are on each film: ``pytest -rP --log-level=INFO``."""

NEAR = 1e-5
HALF_RANGE = 1024  # of the library's input

DENSENET = "densenet121-res224-all"
RESNET = "resnet50-res512-all"
PSPNET_FILE = "pspnet_chestxray_best_model_4.pth"

OTHERWISE_READ = {
    "cr_barre_fuji_pa_mono1_10bit_NOPREAMBLE.dcm": "has no file meta information; the library cannot read its pixels",
    "dx_lidc0005_lateral_ge_j2klossless_14bit.dcm": "its window leaves the film white; we open it with another one",
    "media_set_dicomdir/PT000000/ST000000/SE000001/IM000000": "the same film on a disc",
}
"""Films that we read otherwise than ``read_xray_dcm(voi_lut=True)``, and why."""

WINDOW_LEFT_OUT = {
    "cr_barre_fuji_pa_mono1_10bit.dcm": "WindowCenter 550, WindowWidth 1024",
    "cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm": "a window narrower than 15 bits",
    "media_set_dicomdir/PT000002/ST000000/SE000000/IM000000": "the same film on a disc",
    "media_set_dicomdir/PT000002/ST000001/SE000000/IM000000": "a window beside the middle of 8 bits",
    "syn_dx_canon_sigmoid_window.dcm": "VOI LUT Function SIGMOID",
    "syn_dx_canon_voilutsequence3.dcm": "VOI LUT Sequence",
}
"""Further films that the library reads otherwise unless it is told to heed the VOI; it is not by default."""

FEW = (
    "cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm",
    "dx_lidc0005_lateral_ge_j2klossless_14bit.dcm",
    "dx_nih_00000001_000_pa_cardiomegaly.dcm",
    "syn_dx_canon_voilutsequence3.dcm",
)


pytestmark = pytest.mark.timeout(600)  # ninety seconds on two quiet cores


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """A film as we read it, and what became of it in the library.

    Attributes:
        apart: largest difference of a grey between ``read_xray_dcm(voi_lut=True)`` and us, as a share of the half
            range; None where the library cannot read the film.
        default_apart: the same without ``voi_lut``.
        small, large: the library's input for 224 and (only of a few films) 512 pixels, from its own reading or, where
            that is another one, from our greys.
    """

    name: str
    image: Radiograph
    apart: float | None
    default_apart: float | None
    small: Tensor
    large: Tensor | None


Films = dict[str, Film]
Floats = NDArray[np.float32]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Two threads on a busy machine wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def films(
    found_films: tuple[FoundImage, ...],
    films_at: Callable[[Any], list[Radiograph]],
    need_data: Callable[[str], Path],
) -> Films:
    """Every film below ``dicom`` that the program can read, by its path there."""
    root = need_data("dicom")
    paths = sorted({found.image.path for found in found_films})
    images = films_at(paths)
    found = [_film(path.relative_to(root).as_posix(), path, image) for path, image in zip(paths, images, strict=True)]
    return {film.name: film for film in found}


def _film(name: str, path: Path, image: Radiograph) -> Film:
    ours = (model_grey(image, "presented")[None] - np.float32(0.5)) * np.float32(2 * HALF_RANGE)
    theirs, by_default = (_their_reading(path, voi_lut) for voi_lut in (True, False))
    given = ours if theirs is None or name in OTHERWISE_READ else theirs
    square = XRayCenterCrop()(given)
    small, large = (
        torch.from_numpy(XRayResizer(size)(square))[None] if wanted else None
        for size, wanted in ((224, True), (512, name in FEW))
    )
    assert small is not None
    return Film(name, image, _apart(ours, theirs), _apart(ours, by_default), small, large)


def _their_reading(path: Path, voi_lut: bool) -> Floats | None:
    """(1, rows, columns) in -1024..1024."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs: Floats = read_xray_dcm(path, voi_lut=voi_lut)[None]
        except (AttributeError, ValueError):  # no transfer syntax; values beyond Bits Stored
            return None
    return theirs


def _apart(ours: Floats, theirs: Floats | None) -> float | None:
    return None if theirs is None else float(np.abs(ours - theirs).max() / HALF_RANGE)


def _large(film: Film) -> Tensor:
    assert film.large is not None
    return film.large


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The library's folder of downloaded weights. What lies there is not fetched; anything else would be an error."""

    def refused(url: str, filename: str) -> None:
        raise AssertionError(f"the library wants to fetch {url}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchxrayvision.utils, "download", refused)
        yield tmp_path_factory.mktemp("published")


def _spec(size: int) -> InputSpec:
    return InputSpec(size, "crop", False, mean=0.5, std=1 / 2048, intensity="presented", resize="gaussian")


# ---------------------------------------------------------------- weights


def _settle(module: nn.Module, batch: Tensor) -> None:
    """Batch statistics of ``batch``, so that every layer has values of the usual size.

    The last normalisation of a residual block starts small, as in training: a deep network of random blocks at full
    strength makes much of the last bit of its input, which no trained one does.
    """
    norms = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    for name, norm in norms:
        norm.momentum = None
        low = 0.15 if re.search(r"\.bn3$|\.cb3\.", name) else 0.8
        nn.init.uniform_(norm.weight, low, 1.5 * low)
        nn.init.normal_(norm.bias, 0, 0.1)
    module.train()
    with torch.no_grad():
        module(batch)
    for _, norm in norms:
        norm.momentum = 0.1
    module.eval()


def _set_head(head: nn.Linear, features: Tensor, thresholds: Tensor) -> None:
    """Logits that differ by about a half between films, around the operating points."""
    nn.init.normal_(head.weight)
    with torch.no_grad():
        head.weight /= 2 * (features @ head.weight.T).std(dim=0)[:, None]
        head.bias.copy_(torch.logit(torch.nan_to_num(thresholds, nan=0.5)) - head.weight @ features.mean(dim=0))


def _thresholds(name: str) -> Tensor:
    return torch.tensor(torchxrayvision.models.model_urls[name]["op_threshs"])


def _weights_file(folder: Path, name: str) -> Path:
    return folder / Path(torchxrayvision.models.model_urls[name]["weights_url"]).name


@pytest.fixture(scope="module")
def densenet(films: Films, published: Path) -> nn.Module:
    """The library's model, which it has read from a whole pickled module."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = torchxrayvision.models.DenseNet(num_classes=18)
        batch = torch.cat([films[name].small for name in FEW])
        _settle(made, batch)
        with torch.no_grad():
            _set_head(made.classifier, made.features2(batch), _thresholds(DENSENET))
    torch.save(made, _weights_file(published, DENSENET))
    library: nn.Module = torchxrayvision.models.DenseNet(weights=DENSENET, cache_dir=str(published))
    return library


@pytest.fixture(scope="module")
def resnet(films: Films, published: Path) -> nn.Module:
    """The library's model, which it has read from a state dict."""
    import torchvision

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        made = torchvision.models.resnet50(num_classes=18)
        made.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        batch = torch.cat([_large(films[name]) for name in FEW])
        _settle(made, batch[:, :, ::2, ::2])
        torch.save(made.state_dict(), _weights_file(published, RESNET))
        library = torchxrayvision.models.ResNet(weights=RESNET, cache_dir=str(published))
        with torch.no_grad():
            _set_head(made.fc, library.features(batch), _thresholds(RESNET))
    torch.save(made.state_dict(), _weights_file(published, RESNET))
    model: nn.Module = torchxrayvision.models.ResNet(weights=RESNET, cache_dir=str(published))
    return model


@contextlib.contextmanager
def _old_words() -> Iterator[None]:
    """The library's PSPNet calls ``upsample``, which torch wants to be called ``interpolate``."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*upsample.*is deprecated")
        yield


@pytest.fixture(scope="module")
def pspnet(films: Films, published: Path) -> nn.Module:
    """The library's model, which it has read from the state dict of a ``DataParallel``."""
    from torchxrayvision.baseline_models.chestx_det.ptsemseg.pspnet import pspnet as architecture

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = architecture(14)
        batch = torch.cat([_large(films[name]) for name in FEW[:2]])[:, :, ::3, ::3]
        with _old_words():
            _settle(made, (batch / 512).repeat(1, 3, 1, 1))
        nn.init.normal_(made.classification.weight, 0, 0.03)
    torch.save({f"module.{name}": value for name, value in made.state_dict().items()}, published / PSPNET_FILE)
    model: nn.Module = chestx_det.PSPNet(cache_dir=str(published))
    return model


# ---------------------------------------------------------------- reading


def test_films_are_read_as_the_library_reads_them_or_named(films: Films) -> None:
    assert {film.name for film in films.values() if film.apart is None or film.apart > NEAR} == set(OTHERWISE_READ)


def test_the_library_leaves_the_window_out_unless_told(films: Films) -> None:
    known = [film for film in films.values() if film.name not in OTHERWISE_READ]
    otherwise = {film.name for film in known if film.default_apart is None or film.default_apart > NEAR}
    assert otherwise == set(WINDOW_LEFT_OUT)


# ---------------------------------------------------------------- classifiers


def _card(make: Callable[..., ModelCard], name: str, network: str, size: int) -> tuple[ModelCard, list[int]]:
    """A card with the labels that have an operating point, and their rows."""
    thresholds = _thresholds(name).tolist()
    labels = torchxrayvision.models.model_urls[name]["labels"]
    rows = [row for row, threshold in enumerate(thresholds) if labels[row] and threshold == threshold]
    specs = tuple(LabelSpec(labels[row], thresholds[row]) for row in rows)
    kind = ScoreKind.OPERATING_POINT
    card = make(
        network=network, labels=specs, score_kind=kind, input=_spec(size), temperature=1.0, bias=0.0, model_id="field"
    )
    return card, rows


def _compare(
    film: Film,
    theirs: Tensor,
    card: ModelCard,
    rows: list[int],
    engine: TorchEngine,
    library: nn.Module,
    last_layer: nn.Module,
    head: nn.Module,
) -> tuple[Floats, Floats]:
    """Input, scores and maps of one film beside the library's; returns our scores and maps."""
    given = see(film.image, card.input).film
    input_apart = np.abs(given - theirs[0].numpy()).max() / HALF_RANGE
    assert input_apart <= NEAR, film.name

    logits, features = engine.run(given[None])
    assert features is not None
    assert engine.head_weights is not None
    scores = np.array([finding.score for finding in findings(card, logits[0])], dtype=np.float32)
    kept: list[Tensor] = []
    handle = last_layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
    with torch.no_grad():
        their_scores = library(theirs)[0, rows].numpy()
    handle.remove()
    scores_apart = np.abs(scores - their_scores).max()
    assert scores_apart <= NEAR, film.name

    maps = grad_cam(features[0], engine.head_weights)
    their_maps = _gradient_maps(torch.relu(kept[0]), head, rows)  # the library's own last ReLU worked in place
    maps_apart = np.abs(maps / maps[0].size - their_maps).max() / max(1.0, float(their_maps.max()))
    assert maps_apart <= NEAR, film.name
    LOG.info("input %.1e, scores %.1e, maps %.1e: %s", input_apart, scores_apart, maps_apart, film.name)
    return scores, maps


def _gradient_maps(last: Tensor, head: nn.Module, rows: list[int]) -> Floats:
    """Grad-CAM by its definition: the last maps weighted with the mean of their gradients, clipped at 0."""
    last = last.detach().requires_grad_()
    logits = head(last.mean(dim=(2, 3)))[0]
    maps = []
    for row in rows:
        (gradient,) = torch.autograd.grad(logits[row], last, retain_graph=True)
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        maps.append(torch.relu((weights * last).sum(dim=1))[0].detach().numpy())
    return np.stack(maps)


def _densenet_engine(published: Path, card: ModelCard, rows: list[int]) -> TorchEngine:
    stored: nn.Module = torch.load(_weights_file(published, DENSENET), weights_only=False)
    return TorchEngine(load_network(card.network, len(rows), from_published(card.network, stored.state_dict(), rows)))


def test_densenet_scores_and_maps_are_the_library_s_on_every_film(
    films: Films, densenet: nn.Module, published: Path, card: Callable[..., ModelCard]
) -> None:
    own, rows = _card(card, DENSENET, "densenet121-txrv", 224)
    engine = _densenet_engine(published, own, rows)
    layer, head = densenet.features.norm5, densenet.classifier  # type: ignore[union-attr]
    found = {
        film.name: _compare(film, film.small, own, rows, engine, densenet, layer, head)  # type: ignore[arg-type]
        for film in films.values()
    }
    assert len(found) >= 29
    scores = np.stack([scores for scores, _ in found.values()])
    assert len(rows) == 18
    assert (np.ptp(scores, axis=0) > 0.05).all()
    assert ((scores < 0.5).any(axis=0) & (scores >= 0.5).any(axis=0)).all()
    maps = np.stack([maps for _, maps in found.values()])
    assert (np.ptp(maps.max(axis=(2, 3)), axis=0) > 0.01).all()


def test_the_grad_cam_library_agrees_on_the_library_s_model(
    films: Films, densenet: nn.Module, published: Path, card: Callable[..., ModelCard]
) -> None:
    """Its hooks need a last ReLU that does not work in place, which the library's model does not have."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    own, rows = _card(card, DENSENET, "densenet121-txrv", 224)
    engine = _densenet_engine(published, own, rows)
    parts: list[Any] = [densenet.features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), densenet.classifier]
    apart = nn.Sequential(*parts)
    film = films[FEW[2]]
    _, features = engine.run(see(film.image, own.input).film[None])
    assert features is not None
    assert engine.head_weights is not None
    maps = grad_cam(features[0], engine.head_weights)
    with GradCAM(model=apart, target_layers=[apart[1]]) as cam:
        kept: list[Floats] = []
        make_map = cam.get_cam_image

        def keep(*args: Any, **options: Any) -> Floats:  # the library returns only what it has stretched to 0..1
            kept.append(make_map(*args, **options))
            return kept[-1]

        cam.get_cam_image = keep
        for label in (0, 7, 17):
            cam(film.small, [ClassifierOutputTarget(label)])
            theirs = np.maximum(kept[-1][0], 0)
            assert theirs.max() > 0.01
            assert np.abs(theirs - maps[label] / maps[label].size).max() <= NEAR * max(1.0, float(theirs.max()))
    assert len(kept) == 3


def test_resnet_scores_and_maps_are_the_library_s(
    films: Films, resnet: nn.Module, published: Path, card: Callable[..., ModelCard]
) -> None:
    own, rows = _card(card, RESNET, "resnet50-txrv", 512)
    assert len(rows) == 16  # two of 18 labels have no operating point
    state = from_published(own.network, torch.load(_weights_file(published, RESNET), weights_only=True), rows)
    engine = TorchEngine(load_network(own.network, len(rows), state))
    inner: Any = resnet.model
    found = [
        _compare(films[name], _large(films[name]), own, rows, engine, resnet, inner.layer4, inner.fc) for name in FEW
    ]
    scores = np.stack([scores for scores, _ in found])
    assert (np.ptp(scores, axis=0) > 1e-3).all()


# ---------------------------------------------------------------- outlines


def test_pspnet_outlines_are_the_library_s(films: Films, pspnet: nn.Module, published: Path) -> None:
    spec = InputSpec(
        512,
        "crop",
        False,
        mean=0.5,
        std=1 / 2048,
        intensity="presented",
        resize="gaussian",
        channels=3,
        channel_means=(0.485, 0.456, 0.406),
        channel_stds=(0.229, 0.224, 0.225),
    )
    rows = list(range(14))
    stored = torch.load(published / PSPNET_FILE, weights_only=True)
    network = load_segmenter("pspnet-chestx-det", 14, from_published("pspnet-chestx-det", stored, rows))
    for name in FEW[:2]:
        with torch.no_grad(), _old_words():
            theirs = torch.sigmoid(pspnet(_large(films[name])))
            ours = torch.sigmoid(network(torch.from_numpy(see(films[name].image, spec).film[None])))
        assert ours.shape == (1, 14, 512, 512)
        apart = float((ours - theirs).abs().max())
        assert apart <= NEAR, name
        LOG.info("outlines %.1e: %s", apart, name)
        covered = (ours > 0.5).float().mean(dim=(0, 2, 3))
        assert ((covered > 0.001) & (covered < 0.999)).any(), name
