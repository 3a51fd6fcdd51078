"""Networks explain themselves from the one pass, and refuse weights that are not theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from cxr_viewer.core.errors import ModelError
from cxr_viewer.inference.networks import (
    NETWORKS,
    activation_maps,
    build_network,
    load_network,
    parameter_count,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two threads on a busy machine wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_maps_add_up_to_the_logit(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(name, 3).eval()
    with torch.no_grad():
        logits, features = network.logits_and_features(torch.randn(2, 1, 64, 64))
        maps = activation_maps(network, features)
    assert features.min() >= 0
    assert maps.shape[1] == 3
    torch.testing.assert_close(maps.mean(dim=(2, 3)) + network.classifier.bias, logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_no_relu_works_in_place(name: str) -> None:
    relus = [module for module in build_network(name, 1).modules() if isinstance(module, nn.ReLU)]
    assert relus
    assert not any(relu.inplace for relu in relus)


def test_the_shipped_network_is_small_and_its_map_fine_enough() -> None:
    network = build_network("cxr-small", 1).eval()
    assert 1.0e6 < parameter_count(network) < 1.4e6
    with torch.no_grad():
        assert network.features(torch.zeros(1, 1, 192, 192)).shape[2:] == (12, 12)


def test_weights_of_another_network_are_refused() -> None:
    state = build_network("cxr-tiny", 1).state_dict()
    load_network("cxr-tiny", 1, state)
    with pytest.raises(ModelError, match="do not belong"):
        load_network("cxr-small", 1, state)
    with pytest.raises(ModelError, match="does not know"):
        load_network("cxr-huge", 1, state)
