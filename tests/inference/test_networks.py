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
    build_segmenter,
    from_published,
    load_network,
    load_segmenter,
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


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_mean_of_the_votes_is_the_answer(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(name, 3).eval()
    with torch.no_grad():
        logits, features = network.logits_and_features(torch.randn(2, 1, 64, 64))
        votes = network.votes(features)
    assert votes.shape == (network.members, 2, 3)
    torch.testing.assert_close(votes.mean(0), logits, rtol=1e-4, atol=1e-5)


def test_the_members_of_a_committee_share_only_the_film() -> None:
    torch.manual_seed(0)
    network = build_network("cxr-committee", 2).eval()
    films = torch.randn(2, 1, 128, 128)
    with torch.no_grad():
        before = network.votes(network.features(films))
        network.get_parameter("trunk.trunks.0.0.conv.weight").zero_()
        after = network.votes(network.features(films))
    assert network.members == 2
    assert not torch.equal(before[0], after[0])
    torch.testing.assert_close(before[1], after[1], rtol=1e-5, atol=1e-6)
    assert network.features(films).shape[2:] == (8, 8)


def test_weights_of_another_network_are_refused() -> None:
    state = build_network("cxr-tiny", 1).state_dict()
    load_network("cxr-tiny", 1, state)
    with pytest.raises(ModelError, match="do not belong"):
        load_network("cxr-small", 1, state)
    with pytest.raises(ModelError, match="does not know"):
        load_network("cxr-huge", 1, state)


# ---------------------------------------------------------------- as published


def _published(network: str) -> dict[str, torch.Tensor]:
    """Random weights in the published form."""
    if network == "pspnet-chestx-det":
        from torchxrayvision.baseline_models.chestx_det.ptsemseg.pspnet import pspnet

        return {f"module.{name}": value for name, value in pspnet(14).state_dict().items()}
    if network == "densenet121-txrv":
        import torchxrayvision

        return dict(torchxrayvision.models.DenseNet(op_threshs=torch.full((18,), 0.5)).state_dict())
    import torchvision

    whole = torchvision.models.resnet50(num_classes=18)
    whole.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    return dict(whole.state_dict())


@pytest.mark.parametrize(
    ("network", "head", "ours"),
    [
        ("densenet121-txrv", "classifier.", "classifier."),
        ("resnet50-txrv", "fc.", "classifier."),
        ("pspnet-chestx-det", "module.classification.", "body.classifier."),
    ],
)
def test_published_weights_come_under_our_names_with_the_rows_that_are_kept(network: str, head: str, ours: str) -> None:
    state = _published(network)
    found = from_published(network, state, (3, 0, 11))
    load = load_network if network in NETWORKS else load_segmenter
    built = load(network, 3, found)
    assert not built.training
    for part in ("weight", "bias"):
        assert torch.equal(found[ours + part], state[head + part][[3, 0, 11]])
    assert all(value.is_contiguous() for value in found.values())
    assert not {value.data_ptr() for value in found.values()} & {value.data_ptr() for value in state.values()}


def test_published_weights_in_half_precision_and_without_counters_are_taken() -> None:
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in _published("resnet50-txrv").items()
        if not name.endswith("num_batches_tracked")
    }
    found = from_published("resnet50-txrv", state, range(18))
    load_network("resnet50-txrv", 18, found)
    assert {value.dtype for value in found.values()} == {torch.float32, torch.int64}


def test_published_weights_with_a_fault_are_refused_by_name() -> None:
    def detail(change: dict[str, torch.Tensor], rows: tuple[int, ...] = (0, 1), network: str = "resnet50-txrv") -> str:
        with pytest.raises(ModelError, match="do not belong") as fault:
            from_published(network, {**state, **change}, rows)
        assert fault.value.hint
        return fault.value.detail

    state = _published("resnet50-txrv")
    assert "trunk.extra.weight is not part of it" in detail({"extra.weight": torch.zeros(3)})
    assert "trunk.conv1.weight is torch.float32 (64, 3, 7, 7)" in detail({"conv1.weight": torch.zeros(64, 3, 7, 7)})
    assert "trunk.bn1.weight holds values that are no numbers" in detail({"bn1.weight": torch.full((64,), torch.nan)})
    assert "18 outputs" in detail({}, (0, 18))
    assert "18 outputs" in detail({}, (-1,))
    assert "18 outputs" in detail({}, ())
    assert "trunk.conv0.weight is missing" in detail({}, network="densenet121-txrv")
    del state["layer4.2.conv3.weight"]
    assert "trunk.layer4.2.conv3.weight is missing" in detail({})
    with pytest.raises(ModelError, match="No published weights"):
        from_published("cxr-small", state, (0,))


def test_a_segmenter_gives_an_outline_at_the_size_of_its_input() -> None:
    torch.manual_seed(0)
    network = build_segmenter("pspnet-chestx-det", 14).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 96, 96)).shape == (1, 14, 96, 96)
    assert not any(relu.inplace for relu in network.modules() if isinstance(relu, nn.ReLU))
    with pytest.raises(ModelError, match="does not know"):
        build_segmenter("densenet121-txrv", 14)
    with pytest.raises(ModelError, match="does not know"):
        build_network("pspnet-chestx-det", 14)
