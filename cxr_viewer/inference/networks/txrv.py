"""The architectures of TorchXRayVision's classifiers (Cohen et al., MIDL 2022), on torchvision's own models.

They look at one grey channel. No ReLU works in place. torchvision is imported when one of them is wanted.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from cxr_viewer.inference.networks.base import CamNetwork


def densenet121(outputs: int) -> CamNetwork:
    """DenseNet-121 (Huang et al., CVPR 2017); the map has 1/32 of the input's side and 1024 channels."""
    from torchvision.models import densenet121 as make

    trunk = make(weights=None, num_classes=1).features
    trunk.conv0 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    return CamNetwork(_kept(trunk), 1024, outputs)


def resnet50(outputs: int) -> CamNetwork:
    """ResNet-50 (He et al., CVPR 2016); the map has 1/32 of the input's side and 2048 channels."""
    from torchvision.models import resnet50 as make

    whole = make(weights=None, num_classes=1)
    whole.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    trunk = nn.Sequential(OrderedDict((name, getattr(whole, name)) for name in names))
    return CamNetwork(_kept(trunk), 2048, outputs)


def _kept(trunk: nn.Module) -> nn.Module:
    """The trunk with ReLUs that keep what they are given."""
    for module in trunk.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return trunk
