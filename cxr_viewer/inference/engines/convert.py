"""From torch to a graph for OpenVINO. Imports both; run in the process of ``child``."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.inference.engines.graph import GraphArrays, read_graph, write_graph
from cxr_viewer.inference.engines.openvino import converter
from cxr_viewer.inference.engines.probes import probe_film
from cxr_viewer.inference.engines.torch import TorchEngine, head, load_bundle
from cxr_viewer.inference.networks import CamNetwork


class WithFeatures(nn.Module):
    """All outputs of a network in one graph: logits and, where it has them, feature maps."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        if isinstance(self.network, CamNetwork):
            return self.network.logits_and_features(x)
        return (self.network(x),)


def convert(card: ModelCard, bundle: Path, folder: Path) -> None:
    """Make the graph of a bundle and keep it in ``folder``, unless a whole one is there already.

    Raises:
        ModelError: weights missing or damaged, or the conversion failed (``conversion-failed``).
    """
    if read_graph(folder, card) is not None:
        return
    network = load_bundle(card, bundle)
    probe = probe_film(card.input)
    logits, features = TorchEngine(network).run(probe)
    weights, bias = head(network)
    try:
        example = torch.from_numpy(probe).contiguous(memory_format=torch.contiguous_format)
        plain = network.to(memory_format=torch.contiguous_format)
        program = torch.export.export(WithFeatures(plain).eval(), (example,))
        model = converter()(program)
        model.reshape(list(probe.shape))
        write_graph(folder, card, model, GraphArrays(probe, logits, features, weights, bias))
    except Exception as error:  # the converter raises many kinds, its own without a common base
        raise ModelError(
            f"The model “{card.name}” could not be prepared for the fast engine.",
            hint="The reference engine (torch) is used instead, which is slower.",
            detail=f"{type(error).__name__}: {error}",
            code="conversion-failed",
        ) from error
