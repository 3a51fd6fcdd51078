"""The reference engine: torch on the CPU or on CUDA, in float32 throughout.

Importing this module imports torch; only ``child`` (in its process), the command line and tests do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.inference.cards import read_weights
from cxr_viewer.inference.engines import ONNX_NETWORK, Floats, thread_count
from cxr_viewer.inference.engines.library import library_maps
from cxr_viewer.inference.networks import SEGMENTERS, CamNetwork, load_network, load_segmenter


def load_bundle(card: ModelCard, folder: Path) -> nn.Module:
    """The network of a bundle on the CPU, in evaluation mode, its weights verified before they are opened.

    Raises:
        ModelError: weights missing, damaged or of another network; network unknown, or in ONNX.
    """
    data = read_weights(folder, card)
    if card.network == ONNX_NETWORK:
        raise ModelError(
            f"The model “{card.name}” is in ONNX, which torch and the graphics processor do not run here.",
            hint="Choose the device Auto or CPU, and for heat maps Grad-CAM or Occlusion.",
            code="onnx-needs-cpu",
        )
    try:
        state = load(data)
    except SafetensorError as error:
        raise ModelError(
            f"The weights of the model “{card.name}” cannot be read.",
            hint="Install the model again.",
            detail=str(error),
            code="weights-unreadable",
        ) from error
    build = load_segmenter if card.network in SEGMENTERS else load_network
    return build(card.network, len(card.labels), state)


class TorchEngine:
    """A network on one torch device.

    Args:
        network: in evaluation mode; it is moved to the device. A
            :class:`~cxr_viewer.inference.networks.CamNetwork` gives feature maps with its logits, any other module only
            what it answers.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        ModelError: ``no-cuda`` when CUDA was asked for and does not work.
    """

    def __init__(self, network: nn.Module, device: str = "cpu") -> None:
        if device == "cuda":
            _check_cuda()
            # TF32 keeps 10 bits of mantissa: scores would differ from the CPU's in the third decimal.
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cuda.matmul.allow_tf32 = False
        else:
            torch.set_num_threads(thread_count())
        self._device = torch.device(device)
        moved = network.to(device=self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network: nn.Module = moved
        self._weights: Floats | None
        self._bias: Floats | None
        self._weights, self._bias = head(network)

    @property
    def device_name(self) -> str:
        return "CUDA (torch)" if self._device.type == "cuda" else "CPU (torch)"

    @property
    def head_weights(self) -> Floats | None:
        return self._weights

    @property
    def head_bias(self) -> Floats | None:
        return self._bias

    def run(self, batch: Floats) -> tuple[Floats, Floats | None]:
        try:
            with torch.inference_mode():
                given = self._tensor(batch)
                if isinstance(self._network, CamNetwork):
                    logits, maps = self._network.logits_and_features(given)
                    return _array(logits), _array(maps)
                return _array(self._network(given)), None
        except RuntimeError as error:  # torch's word for everything, memory included
            raise _failed(error, self.device_name) from error

    def library_maps(self, film: Floats, method: str) -> Floats:
        """Raw maps of one film by a method of the ``grad-cam`` library, before the library's own per-map scaling.

        Args:
            film: float32 (1, channels, size, size).
            method: key of :data:`~cxr_viewer.inference.engines.library.LIBRARY_METHODS`.

        Returns:
            float32 (k, h, w), one map per label, clipped at 0, in the method's own unit.

        Raises:
            ModelError: the library is missing or failed, the method is unknown, or the network has no such maps.
        """
        network = self._network
        if not isinstance(network, CamNetwork):
            raise ModelError("This model gives no heat maps.", hint="Choose another model.", code="no-map")
        try:
            return library_maps(network, self._tensor(film), method)
        except RuntimeError as error:
            raise _failed(error, method) from error

    def close(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _tensor(self, batch: Floats) -> torch.Tensor:
        return torch.from_numpy(batch).to(device=self._device).contiguous(memory_format=torch.channels_last)


def head(network: nn.Module) -> tuple[Floats, Floats] | tuple[None, None]:
    """Weights (k, c) and bias (k,) of the linear head, None twice where the pass gives no map."""
    if not isinstance(network, CamNetwork):
        return None, None
    return _array(network.classifier.weight), _array(network.classifier.bias)


def _array(values: torch.Tensor) -> Floats:
    array: Floats = np.ascontiguousarray(values.detach().float().cpu().numpy())
    return array


def _check_cuda() -> None:
    try:
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count:
            torch.zeros(1, device="cuda")
    except RuntimeError as error:
        raise _no_cuda(str(error)) from error
    if not count:
        raise _no_cuda(f"torch {torch.__version__}, built for CUDA {torch.version.cuda}")


def _no_cuda(detail: str) -> ModelError:
    return ModelError(
        "The graphics processor (CUDA) cannot be used.", hint="Choose the CPU.", detail=detail, code="no-cuda"
    )


def _failed(error: Exception, where: str) -> ModelError:
    memory = isinstance(error, torch.cuda.OutOfMemoryError)
    return ModelError(
        f"There is not enough graphics memory for {where}." if memory else f"The model failed to run on {where}.",
        hint="Choose the CPU." if memory else "Try again, or choose another device.",
        detail=str(error),
        code="out-of-memory" if memory else "engine-failed",
    )
