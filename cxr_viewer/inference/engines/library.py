"""Maps by the ``grad-cam`` library, as it has them before its own stretching. Runs in torch's process only.

The library is imported with the first map (4.6 s). No network here has a ReLU that works in place: what its hooks have
stored would be overwritten on the CPU and not on CUDA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from cxr_viewer.core.errors import ModelError
from cxr_viewer.inference.engines import Floats
from cxr_viewer.inference.networks import CamNetwork

LAYER_CAM_FINE = "LayerCAM fine"

LIBRARY_METHODS = {
    "Grad-CAM": "GradCAM",
    "Grad-CAM++": "GradCAMPlusPlus",
    "LayerCAM": "LayerCAM",
    LAYER_CAM_FINE: "LayerCAM",
    "EigenCAM": "EigenCAM",
    "ScoreCAM": "ScoreCAM",
}
"""Our names of methods, and the library's."""


def library_maps(network: CamNetwork, film: Tensor, method: str) -> Floats:
    """Raw maps of one film, before the library's own per-map scaling.

    Args:
        network: in evaluation mode, on the film's device.
        film: float32 (1, channels, size, size).
        method: key of :data:`LIBRARY_METHODS`.

    Returns:
        float32 (k, h, w), one map per label, clipped at 0, in the method's own unit.

    Raises:
        ModelError: the library is missing, the method is unknown or gave nothing.
        RuntimeError: torch's word for everything that failed in it.
    """
    method_class = _method_class(method)
    labels = range(network.classifier.out_features)
    if method == "ScoreCAM":  # shows the network the film through its maps
        return np.stack(
            [_clipped(_raw_maps(method_class, network, [network.relu], film, label)[0]) for label in labels]
        )
    if method == LAYER_CAM_FINE and (earlier := earlier_layer(network, film)):
        with _graph_from(earlier[0], network, film):
            layers = [*earlier, network.relu]
            return np.stack([_fused(_raw_maps(method_class, network, layers, film, label)) for label in labels])
    tail = _Tail(network)
    with torch.no_grad():
        given = network.trunk(film)
    given.requires_grad_(True)
    if method == "EigenCAM":  # it does not know the finding
        raw = _raw_maps(method_class, tail, [network.relu], given, 0)[0]
        return np.repeat(_clipped(_towards_activation(raw, network.relu(given)))[None], len(labels), axis=0)
    return np.stack([_clipped(_raw_maps(method_class, tail, [network.relu], given, label)[0]) for label in labels])


class _Tail(nn.Module):
    """The last ReLU and the head, so that a film passes the rest of the network once for all findings and no gradient
    is followed further down than the maps that it is wanted for."""

    def __init__(self, network: CamNetwork) -> None:
        super().__init__()
        self.relu = network.relu
        self.classifier = network.classifier

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.relu(x).mean(dim=(2, 3)))
        return logits


@contextmanager
def _graph_from(layer: nn.Module, network: CamNetwork, film: Tensor) -> Iterator[None]:
    """Gradients are followed down to what this layer gives, and no further; those of the weights are not wanted.

    What the parts of the trunk before the layer give for this film is kept, so that passes for one finding after the
    other do not work it out again.
    """
    outs: dict[nn.Module, list[Tensor]] = {}
    before: dict[nn.Module, Tensor] = {}

    def watch(part: nn.Module, given: Any, out: Tensor) -> None:
        outs.setdefault(part, []).append(out)

    def stop(part: nn.Module, given: Any, out: Tensor) -> None:
        before.update({part: found[0] for part, found in outs.items() if len(found) == 1})

    handles = [child.register_forward_hook(watch) for child in network.trunk.children()]
    handles.append(layer.register_forward_hook(stop))
    with torch.no_grad():
        network.features(film)
    for handle in handles:
        handle.remove()

    def begin(module: nn.Module, given: Any, out: Tensor) -> Tensor:
        return out.detach().requires_grad_(True)

    weights = [weight for weight in network.parameters() if weight.requires_grad]
    handle = layer.register_forward_hook(begin)  # before the library's own, which then see this
    try:
        for part, known in before.items():
            part.forward = partial(_known, known)  # of this object only; taken away below
        for weight in weights:
            weight.requires_grad_(False)
        yield
    finally:
        handle.remove()
        for part in before:
            del part.forward
        for weight in weights:
            weight.requires_grad_(True)


def _known(out: Tensor, *given: Any) -> Tensor:
    return out


def earlier_layer(network: CamNetwork, film: Tensor) -> tuple[nn.Module, ...]:
    """The end of the last stage that has twice the cells of the network's map on each side; empty: there is none.

    Found by watching one pass: the last module that runs once and gives nothing below 0, that is, ends in a ReLU.
    """
    calls: dict[nn.Module, list[tuple[int, bool]]] = {}

    def watch(module: nn.Module, given: Any, out: Any) -> None:
        if isinstance(out, Tensor) and out.ndim == 4:
            calls.setdefault(module, []).append((out.shape[-1], bool(out.min() >= 0)))

    handles = [module.register_forward_hook(watch) for module in network.trunk.modules()]
    try:
        with torch.inference_mode():
            side = network.features(film).shape[-1]
    finally:
        for handle in handles:
            handle.remove()
    fitting = [module for module, seen in calls.items() if len(seen) == 1 and seen[0] == (2 * side, True)]
    return tuple(fitting[-1:])


def _method_class(method: str) -> Callable[..., Any]:
    if method not in LIBRARY_METHODS:
        raise ModelError(
            f"There is no heat map method “{method}”.",
            hint=f"Choose one of: {', '.join(LIBRARY_METHODS)}.",
            code="unknown-method",
        )
    try:
        import pytorch_grad_cam
    except ImportError as error:
        raise ModelError(
            f"The heat map method “{method}” needs the package grad-cam, which is not installed.",
            hint="Choose Grad-CAM, which needs no further package.",
            detail=str(error),
            code="no-grad-cam",
        ) from error
    found: Callable[..., Any] = getattr(pytorch_grad_cam, LIBRARY_METHODS[method])
    return found


def _raw_maps(
    method_class: Callable[..., Any], network: nn.Module, layers: list[nn.Module], film: Tensor, label: int
) -> list[Floats]:
    """One map (h, w) per layer."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    kept: list[Any] = []
    with method_class(model=network, target_layers=layers) as cam:
        make_map = cam.get_cam_image

        def keep(*args: Any, **options: Any) -> Any:  # the library returns only what it has stretched to 0..1
            kept.append(make_map(*args, **options))
            return kept[-1]

        cam.get_cam_image = keep
        cam(input_tensor=film, targets=[ClassifierOutputTarget(label)])
    if len(kept) != len(layers):  # the library's context manager swallows IndexError
        raise ModelError("The heat map could not be made.", hint="Choose Grad-CAM.", code="no-map")
    return [np.asarray(each[0], dtype=np.float32) for each in kept]


def _clipped(raw: Floats) -> Floats:
    return np.maximum(raw, 0)


def _fused(maps: list[Floats]) -> Floats:
    """Maps of several layers as one, on the grid of the finest, clipped at 0.

    As in the library each counts the same: 0 to 1 over its own range above 0, then the mean.
    """
    clipped = [_clipped(each) for each in maps]
    size = max(each.shape for each in clipped)[::-1]
    tops = [max(float(each.max()), 1e-7) for each in clipped]
    grown = [
        cv2.resize(each / top, size, interpolation=cv2.INTER_LINEAR) for each, top in zip(clipped, tops, strict=True)
    ]
    mean: Floats = np.mean(grown, axis=0, dtype=np.float32)
    return mean


def _towards_activation(projection: Floats, features: Tensor) -> Floats:
    """The sign of a principal component is arbitrary; bright shall be where the network is active."""
    activity = features.detach().sum(dim=(0, 1)).cpu().numpy()
    agrees = float(np.sum((activity - activity.mean()) * (projection - projection.mean()))) >= 0
    return projection if agrees else -projection
