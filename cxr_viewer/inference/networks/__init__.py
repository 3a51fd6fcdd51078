"""Networks this program knows by name.

Every classifier here ends in ReLU > global average pooling > linear. With that head the class activation map of an
output is ``einsum("k,khw->hw", classifier.weight[output], features(x))`` and equals Grad-CAM on the last map up to its
positive scale (Zhou et al., CVPR 2016; Selvaraju et al., ICCV 2017), so all maps come from the one forward pass.
No ReLU works in place: activation-storing hooks would otherwise see overwritten values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from cxr_viewer.core.errors import ModelError
from cxr_viewer.inference.networks import published, residual, txrv, unet
from cxr_viewer.inference.networks.base import CamNetwork, SegmentNetwork
from cxr_viewer.inference.networks.pspnet import PspNet

__all__ = [
    "NETWORKS",
    "SEGMENTERS",
    "CamNetwork",
    "SegmentNetwork",
    "activation_maps",
    "build_network",
    "build_segmenter",
    "from_published",
    "load_network",
    "load_segmenter",
    "parameter_count",
]

NETWORKS: dict[str, Callable[[int], CamNetwork]] = {
    "cxr-guard": residual.cxr_guard,
    "cxr-committee": residual.cxr_committee,
    "cxr-small": residual.cxr_small,
    "cxr-tiny": residual.cxr_tiny,
    "densenet121-txrv": txrv.densenet121,
    "resnet50-txrv": txrv.resnet50,
}
"""Classifiers."""

SEGMENTERS: dict[str, Callable[[int], SegmentNetwork]] = {
    "pspnet-chestx-det": lambda outputs: SegmentNetwork(PspNet(outputs)),
    "cxr-unet": unet.cxr_unet,
}
"""Networks that outline anatomical structures."""


def build_network(name: str, outputs: int) -> CamNetwork:
    """The classifier called ``name`` with ``outputs`` labels, randomly initialised, in training mode.

    Raises:
        ModelError: no such network.
    """
    maker = NETWORKS.get(name)
    if maker is None:
        raise _unknown(name, NETWORKS)
    return maker(outputs)


def build_segmenter(name: str, outputs: int) -> SegmentNetwork:
    """The segmenter called ``name`` with ``outputs`` structures, randomly initialised, in training mode.

    Raises:
        ModelError: no such network.
    """
    maker = SEGMENTERS.get(name)
    if maker is None:
        raise _unknown(name, SEGMENTERS)
    return maker(outputs)


def load_network(name: str, outputs: int, state: dict[str, Tensor]) -> CamNetwork:
    """The classifier called ``name`` with the given weights, in evaluation mode.

    Raises:
        ModelError: no such network, or the weights do not fit it.
    """
    network = build_network(name, outputs)
    _fill(network, name, state)
    return network.eval()


def load_segmenter(name: str, outputs: int, state: dict[str, Tensor]) -> SegmentNetwork:
    """The segmenter called ``name`` with the given weights, in evaluation mode.

    Raises:
        ModelError: no such network, or the weights do not fit it.
    """
    network = build_segmenter(name, outputs)
    _fill(network, name, state)
    return network.eval()


def from_published(network: str, state: dict[str, Tensor], rows: Sequence[int]) -> dict[str, Tensor]:
    """Weights as others publish them, as our network of that name takes them.

    Args:
        network: ``"densenet121-txrv"``, ``"resnet50-txrv"`` or ``"pspnet-chestx-det"``.
        state: the published tensors under their published names; see :mod:`cxr_viewer.inference.networks.published`.
        rows: which of the published outputs are kept, in the order of the card's labels.

    Returns:
        contiguous tensors of their own under our names, floating point values as float32; fits :func:`load_network` or
        :func:`load_segmenter` with ``len(rows)`` outputs.

    Raises:
        ModelError: another network (``unknown-network``), or tensors are missing, left over, of another shape, or hold
            values that are no finite numbers (``weights-mismatch``).
    """
    out = published.renamed(network, state, rows)
    with torch.device("meta"):
        build = build_network if network in NETWORKS else build_segmenter
        expected = build(network, len(rows)).state_dict()
    faults = [f"{name} is missing" for name in expected if name not in out]
    faults += [f"{name} is not part of it" for name in out if name not in expected]
    for name in expected.keys() & out.keys():
        if out[name].shape != expected[name].shape or out[name].dtype != expected[name].dtype:
            faults.append(f"{name} is {out[name].dtype} {tuple(out[name].shape)}, not {tuple(expected[name].shape)}")
        elif not torch.isfinite(out[name]).all():
            faults.append(f"{name} holds values that are no numbers")
    if faults:
        raise published.mismatch(network, "\n".join(sorted(faults)))
    return out


def parameter_count(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())


def activation_maps(network: CamNetwork, features: Tensor) -> Tensor:
    """Class activation maps (n, outputs, h, w) from post-ReLU features (n, k, h, w), before any clipping at 0."""
    return torch.einsum("ok,nkhw->nohw", network.classifier.weight, features)


def _fill(network: nn.Module, name: str, state: dict[str, Tensor]) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"The weights do not belong to the network “{name}”.",
            hint="Install the model again.",
            detail=str(error),
            code="weights-mismatch",
        ) from error


def _unknown(name: str, known: Iterable[str]) -> ModelError:
    return ModelError(
        f"This program does not know the network “{name}”.",
        hint="The model may need a newer version of the program.",
        detail=f"known networks: {', '.join(sorted(known))}",
        code="unknown-network",
    )
