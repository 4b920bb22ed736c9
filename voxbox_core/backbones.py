"""Image backbones: ResNet-18 and DLA-34. (B, 3, H, W) -> features at strides 4, 8, 16 and 32.

Parameters carry the names of the published ImageNet weights, so `load_imagenet` reads those files as they are.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voxbox_core.errors import InputError
from voxbox_core.layers import BasicBlock, conv_bn
from voxbox_core.weights import Weights, load_into, read_archive


class ResidualBlock(BasicBlock):
    """BasicBlock that projects its own shortcut where the shape changes, as ResNet's does."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, stride)
        self.downsample = conv_bn(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else None

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        return super().forward(x, x if self.downsample is None else self.downsample(x))


class ResNet18(nn.Module):
    """ResNet-18 (He et al., 2016) without its classifier; `width` scales every channel count.

    (B, 3, H, W) -> [(B, 64, H/4, W/4), (B, 128, H/8, W/8), (B, 256, H/16, W/16), (B, 512, H/32, W/32)] at width 1.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.channels = tuple(max(8, round(c * width)) for c in (64, 128, 256, 512))
        first = self.channels[0]
        self.conv1 = nn.Conv2d(3, first, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._stage(first, first, 1)
        self.layer2 = self._stage(first, self.channels[1], 2)
        self.layer3 = self._stage(self.channels[1], self.channels[2], 2)
        self.layer4 = self._stage(self.channels[2], self.channels[3], 2)
        initialise(self)

    @staticmethod
    def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        return nn.Sequential(ResidualBlock(inputs, outputs, stride), ResidualBlock(outputs, outputs, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        features = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            features.append(x)
        return features


class Root(nn.Module):
    """Joins the outputs of a DLA tree: concatenation, 1x1 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, parts: list[Tensor]) -> Tensor:
        return F.relu(self.bn(self.conv(torch.cat(parts, dim=1))))


class Leaf(nn.Module):
    """DLA's tree of depth 1: two blocks and the root that joins them with the `extra` channels handed in."""

    def __init__(self, inputs: int, outputs: int, stride: int, level_root: bool = False, extra: int = 0) -> None:
        super().__init__()
        self.stride = stride
        self.level_root = level_root
        self.tree1 = BasicBlock(inputs, outputs, stride)
        self.tree2 = BasicBlock(outputs, outputs)
        self.root = Root(2 * outputs + (inputs if level_root else 0) + extra, outputs)
        self.project = conv_bn(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, children: tuple[Tensor, ...] = ()) -> Tensor:
        bottom = F.max_pool2d(x, self.stride) if self.stride > 1 else x
        residual = bottom if self.project is None else self.project(bottom)
        first = self.tree1(x, residual)
        second = self.tree2(first)
        return self.root([second, first, *([bottom] if self.level_root else []), *children])


class Tree(nn.Module):
    """DLA's tree of depth 2: a leaf that carries the stride, and a leaf that also joins what came before.

    The original also holds a projection here whose output nothing uses; it is left out.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.tree1 = Leaf(inputs, outputs, stride)
        self.tree2 = Leaf(outputs, outputs, 1, extra=inputs + outputs)

    def forward(self, x: Tensor) -> Tensor:
        bottom = F.max_pool2d(x, self.stride)
        first = self.tree1(x)
        return self.tree2(first, (bottom, first))


class DLA34(nn.Module):
    """DLA-34 (Yu et al., 2018, "Deep Layer Aggregation") without its classifier.

    (B, 3, H, W) -> [(B, 64, H/4, W/4), (B, 128, H/8, W/8), (B, 256, H/16, W/16), (B, 512, H/32, W/32)].
    """

    channels = (64, 128, 256, 512)

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Sequential(*conv_bn(3, 16, 7), nn.ReLU())
        self.level0 = nn.Sequential(*conv_bn(16, 16, 3), nn.ReLU())
        self.level1 = nn.Sequential(*conv_bn(16, 32, 3, stride=2), nn.ReLU())
        self.level2 = Leaf(32, 64, 2)
        self.level3 = Tree(64, 128, 2)
        self.level4 = Tree(128, 256, 2)
        self.level5 = Leaf(256, 512, 2, level_root=True)
        initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.level1(self.level0(self.base_layer(x)))
        features = []
        for level in (self.level2, self.level3, self.level4, self.level5):
            x = level(x)
            features.append(x)
        return features


def initialise(module: nn.Module) -> None:
    """Kaiming-normal convolutions (fan out, ReLU) and identity batch norms, for training from scratch."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


# In the published files, but of no use here: the classifiers, and the projections that DLA's deep trees never use.
_UNUSED = {
    ResNet18: ("fc.",),
    DLA34: ("fc.", "level3.project.", "level4.project."),
}


def load_imagenet(backbone: ResNet18 | DLA34, file: Path) -> None:
    """Loads published ImageNet weights from a local file, in place.

    file: a state dict under torchvision's names for ResNet-18, or under the original names for DLA-34.
    Raises InputError when it is no state dict or does not fit the backbone.
    """
    remedy = "Give the published ImageNet weights of this backbone, for width 1."
    state = read_archive(file, remedy)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"content of {file}", type(state).__name__, "a state dict of tensors", remedy)
    own = backbone.state_dict()
    # Files from before PyTorch 0.4.1 lack this counter, which nothing here uses.
    counters = {name: value for name, value in own.items() if name.endswith("num_batches_tracked")}
    kept = {name: value for name, value in state.items() if not name.startswith(_UNUSED[type(backbone)])}
    try:
        load_into(backbone, Weights("", counters | kept, str(file)))
    except InputError as error:
        raise InputError(error.what, error.value, error.expected, remedy) from None
