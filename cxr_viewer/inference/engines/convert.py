"""From torch to a graph for OpenVINO. Imports both; run in the process of ``child``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.inference.engines import Floats
from cxr_viewer.inference.engines.graph import GraphArrays, read_graph, write_graph
from cxr_viewer.inference.engines.openvino import converter
from cxr_viewer.inference.engines.torch import TorchEngine, load_bundle
from cxr_viewer.inference.networks import CamNetwork


class _WithFeatures(nn.Module):
    """Both outputs of a network in one graph."""

    def __init__(self, network: CamNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.logits_and_features(x)


def convert(card: ModelCard, bundle: Path, folder: Path) -> None:
    """Make the graph of a bundle and keep it in ``folder``, unless a whole one is there already.

    Raises:
        ModelError: weights missing or damaged, or the conversion failed (``conversion-failed``).
    """
    if read_graph(folder, card) is not None:
        return
    network = load_bundle(card, bundle)
    probe = _probe(card)
    logits, features = TorchEngine(network).run(probe)
    try:
        example = torch.from_numpy(probe).contiguous(memory_format=torch.contiguous_format)
        plain = network.to(memory_format=torch.contiguous_format)
        program = torch.export.export(_WithFeatures(plain).eval(), (example,))
        model = converter()(program)
        model.reshape(list(probe.shape))
        arrays = GraphArrays(
            _numbers(network.classifier.weight), _numbers(network.classifier.bias), probe, logits, features
        )
        write_graph(folder, card, model, arrays)
    except Exception as error:  # the converter raises many kinds, its own without a common base
        raise ModelError(
            f"The model “{card.name}” could not be prepared for the fast engine.",
            hint="The reference engine (torch) is used instead, which is slower.",
            detail=f"{type(error).__name__}: {error}",
            code="conversion-failed",
        ) from error


def _probe(card: ModelCard) -> Floats:
    """A smooth, film-like input that is the same everywhere: a bright middle, darker lungs, in normalised values."""
    line = np.linspace(-1.0, 1.0, card.input.size_px, dtype=np.float64)
    y, x = line[:, None], line[None, :]
    lungs = np.exp(-(((np.abs(x) - 0.45) / 0.28) ** 2) - (y / 0.6) ** 2)
    ribs = 0.05 * np.sin(28 * (y + 0.3 * np.abs(x)))
    grey = np.clip(0.75 - 0.6 * lungs + ribs, 0.0, 1.0)
    normal = (grey - card.input.mean) / card.input.std
    return np.ascontiguousarray(normal[None, None], dtype=np.float32)


def _numbers(values: Tensor) -> Floats:
    array: Floats = values.detach().cpu().numpy().copy()
    return array
