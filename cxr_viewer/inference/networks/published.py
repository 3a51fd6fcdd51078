"""From the names under which others publish weights to those of our networks.

* DenseNet-121 of TorchXRayVision: the state of its module (``features.*``, ``classifier.*``, perhaps ``op_threshs``).
* ResNet-50 of TorchXRayVision: the state of torchvision's model (``conv1.*`` ... ``fc.*``).
* PSPNet of ChestX-Det: the state of a ``DataParallel`` (``module.*``), with layers that were used in training only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cxr_viewer.core.errors import ModelError

_COUNTER = ".num_batches_tracked"
_HEADS = ("classifier.", "body.classifier.")


def renamed(network: str, state: dict[str, Tensor], rows: Sequence[int]) -> dict[str, Tensor]:
    """The tensors of ``state`` under our names, the outputs ``rows`` only, floating point values as float32.

    Args:
        network: ``"densenet121-txrv"``, ``"resnet50-txrv"`` or ``"pspnet-chestx-det"``.
        state: as published.
        rows: which published outputs are kept, in the order of our labels.

    Returns:
        new tensors; what is of no use outside training is left out.

    Raises:
        ModelError: no published form of this network is known, a published output is missing or a name turns up twice.
    """
    name_of = _NAMES.get(network)
    if name_of is None:
        raise ModelError(
            f"No published weights of the network “{network}” are known.",
            detail=f"known: {', '.join(sorted(_NAMES))}",
            code="unknown-network",
        )
    out: dict[str, Tensor] = {}
    for published, value in state.items():
        name = name_of(published)
        if name is None:
            continue
        if name in out:
            raise mismatch(network, f"{published} and another tensor are both {name}")
        out[name] = _kept(network, name, value, rows)
    for name in [name for name in out if name.endswith(".running_mean")]:
        # Files written by early versions of torch do not hold these counters, which nothing reads in evaluation.
        out.setdefault(name.removesuffix(".running_mean") + _COUNTER, torch.tensor(0))
    return out


def _kept(network: str, name: str, value: Tensor, rows: Sequence[int]) -> Tensor:
    if name.startswith(_HEADS):
        count = value.shape[0] if value.ndim else 0
        if not rows or not all(0 <= row < count for row in rows):
            raise mismatch(network, f"{name} has {count} outputs; wanted are {list(rows)}")
        value = value[list(rows)]
    kept = value.detach().to(torch.float32) if value.is_floating_point() else value.detach()
    return kept.clone(memory_format=torch.contiguous_format)


def _densenet_name(published: str) -> str | None:
    if published.startswith("features."):
        return "trunk." + published.removeprefix("features.")
    return None if published == "op_threshs" else published


def _resnet_name(published: str) -> str | None:
    if published.startswith("fc."):
        return "classifier." + published.removeprefix("fc.")
    return None if published == "op_threshs" else f"trunk.{published}"


_PSPNET_PARTS = (
    (r"^module\.", ""),
    (r"\.cbr?_unit\.", "."),
    (r"^convbnrelu1_([123])\.", lambda found: f"stem.{int(found[1]) - 1}."),
    (r"^res_block([2345])\.layers\.", lambda found: f"stages.{int(found[1]) - 2}."),
    (r"\.cbr1\.", ".reduce."),
    (r"\.cbr2\.", ".spread."),
    (r"\.cb3\.", ".expand."),
    (r"\.cb4\.", ".shortcut."),
    (r"^pyramid_pooling\.path_module_list\.", "paths."),
    (r"^cbr_final\.", "merge."),
    (r"^classification\.", "classifier."),
)


def _pspnet_name(published: str) -> str | None:
    name = published
    for pattern, ours in _PSPNET_PARTS:
        name = re.sub(pattern, ours, name)
    return None if name.startswith(("convbnrelu4_aux.", "aux_cls.")) else f"body.{name}"


_NAMES: dict[str, Callable[[str], str | None]] = {
    "densenet121-txrv": _densenet_name,
    "resnet50-txrv": _resnet_name,
    "pspnet-chestx-det": _pspnet_name,
}


def mismatch(network: str, detail: str) -> ModelError:
    return ModelError(
        f"The weights do not belong to the network “{network}”.",
        hint="Fetch the file again from its publisher.",
        detail=detail,
        code="weights-mismatch",
    )
