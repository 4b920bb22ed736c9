"""KM3D-Net: backbone, neck and heads; and the deployed graph, from uint8 image to boxes.

Heads, at stride 4 (channels; C classes): hm (C) logits of the heat map of 2D-box centres; hps (18) nine keypoints,
(dx, dy) in cells from the centre's cell; dim (3) log of (height, width, length) over the class mean; rot (8) two-bin
observation angle, per bin (outside, inside, sin, cos); prob (1) logit of the 3D IoU. Auxiliary: reg (2) sub-cell offset
of the centre; wh (2) 2D box size in cells; hm_hp (9) logits of keypoint heat maps; hp_offset (2) their sub-cell offset.
Not of the paper: depth (2), as `codec.decode_depth` reads it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from km3d_ros.codec import decode
from km3d_ros.contract import Contract
from voxbox_core.backbones import DLA34, ResNet18, initialise
from voxbox_core.layers import DeformConv2d, DepthwiseUpsample, conv_bn

# ImageNet statistics, RGB. (The released KM3D applied them to BGR images.)
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
RARE = -2.19  # logit of p = 0.1: heat maps begin mostly empty (RetinaNet, Lin et al., 2017)


def normalise(image: Tensor) -> Tensor:
    """uint8 RGB (B, H, W, 3) -> float32 (B, 3, H, W) with ImageNet's mean and deviation taken out."""
    x = image.float()  # first, because OpenVINO and TensorRT take a uint8 input only into a Cast
    x = x.permute(0, 3, 1, 2)  # then, because ONNX Runtime is quick with one mean per plane: 5% of a frame
    mean = torch.tensor(MEAN, device=image.device)[:, None, None] * 255
    std = torch.tensor(STD, device=image.device)[:, None, None] * 255
    return (x - mean) / std


class DeconvNeck(nn.Sequential):
    """Three transposed convolutions of stride 2 from the deepest features: KM3D with ResNet-18 (released network)."""

    def __init__(self, channels: tuple[int, ...], outputs: int) -> None:
        layers: list[nn.Module] = []
        for inputs in (channels[-1], outputs, outputs):
            deconv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
            nn.init.normal_(deconv.weight, std=0.001)
            layers += [deconv, nn.BatchNorm2d(outputs), nn.ReLU()]
        super().__init__(*layers)
        self.outputs = outputs

    def forward(self, features: list[Tensor]) -> Tensor:
        return super().forward(features[-1])


class SkipNeck(nn.Module):
    """Bilinear doubling and a 1x1 convolution over it and the shallower features, three times (RTM3D, section 3.1)."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        c4, c8, c16, c32 = channels
        self.outputs = c4
        self.joins = nn.ModuleList(
            nn.Sequential(*conv_bn(deep + shallow, outputs, 1), nn.ReLU())
            for deep, shallow, outputs in ((c32, c16, c16), (c16, c8, c8), (c8, c4, c4))
        )
        initialise(self)

    def forward(self, features: list[Tensor]) -> Tensor:
        *shallower, x = features
        for skip, join in zip(reversed(shallower), self.joins, strict=True):
            x = join(torch.cat([F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False), skip], dim=1))
        return x


class IterativeUp(nn.Module):
    """DLA's iterative deep aggregation: brings each map to the first one's scale and adds them up one by one.

    channels: of the maps; factors: their up-sampling factors (both including the first map, factor 1).
    """

    def __init__(self, channels: tuple[int, ...], factors: tuple[int, ...]) -> None:
        super().__init__()
        outputs = channels[0]
        self.project = nn.ModuleList(self._deform(c, outputs) for c in channels[1:])
        self.up = nn.ModuleList(DepthwiseUpsample(outputs, f) for f in factors[1:])
        self.node = nn.ModuleList(self._deform(outputs, outputs) for _ in channels[1:])

    @staticmethod
    def _deform(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(DeformConv2d(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        out = [maps[0]]
        for x, project, up, node in zip(maps[1:], self.project, self.up, self.node, strict=True):
            out.append(node(up(project(x)) + out[-1]))
        return out


class DLANeck(nn.Module):
    """DLA-34's up-sampling with deformable convolutions, as CenterNet and KM3D use it."""

    outputs = 64

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        c4, c8, c16, c32 = channels
        self.ida = nn.ModuleList(
            [
                IterativeUp((c16, c32), (1, 2)),
                IterativeUp((c8, c16, c16), (1, 2, 2)),
                IterativeUp((c4, c8, c8, c8), (1, 2, 2, 2)),
            ]
        )
        self.last = IterativeUp((c4, c8, c16), (1, 2, 4))

    def forward(self, features: list[Tensor]) -> Tensor:
        joined = [features[3]]
        maps = features[3:]
        for level, ida in zip((2, 1, 0), self.ida, strict=True):
            maps = ida([features[level], *maps])
            joined.insert(0, maps[-1])
        return self.last(joined[:3])[-1]


class KM3DNet(nn.Module):
    """The trainable network.

    (B, 3, input_height, input_width) from `normalise` -> {head: (B, channels, grid_height, grid_width)}, the names
    and channels of `contract.heads`. Maps are raw: logits where the module's docstring says so.
    """

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract
        self.backbone = DLA34() if contract.backbone == "dla34" else ResNet18(contract.width)
        self.neck = self._neck(contract)
        self.heads = nn.ModuleDict(
            {name: self._head(name, self.neck.outputs, channels) for name, channels in contract.heads.items()}
        )

    def _neck(self, contract: Contract) -> DeconvNeck | SkipNeck | DLANeck:
        channels = self.backbone.channels
        if contract.neck == "deconv":
            return DeconvNeck(channels, max(8, round(256 * contract.width)))
        return SkipNeck(channels) if contract.neck == "skip" else DLANeck(channels)

    def _head(self, name: str, inputs: int, outputs: int) -> nn.Sequential:
        hidden = self.contract.head_channels
        last = nn.Conv2d(hidden, outputs, 1)
        if self.contract.backbone == "resnet18":
            nn.init.normal_(last.weight, std=0.001)
        nn.init.constant_(last.get_parameter("bias"), RARE if name.startswith("hm") else 0.0)
        return nn.Sequential(nn.Conv2d(inputs, hidden, 3, padding=1), nn.ReLU(), last)

    def forward(
        self, x: Tensor, heads: tuple[str, ...] | None = None, at: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """heads: the maps wanted; all by default.

        at: cells y W + x of the "objects" (B, M) and their "keypoints" (B, 9 M). The heads of READ_AT are then computed
        there alone and come as (B, M, channels): what training would gather from their maps, for half of its time.
        """
        shared = self.neck(self.backbone(x))
        wanted = heads or tuple(self.heads)
        if at is None:
            return {name: self.heads[name](shared) for name in wanted}
        around = {key: patches(shared, index) for key, index in at.items()}
        return {
            name: self._on_patches(name, around[READ_AT[name]]) if name in READ_AT else self.heads[name](shared)
            for name in wanted
        }

    def _on_patches(self, name: str, around: Tensor) -> Tensor:
        """A head on 3x3 patches (B, K, 9 C) of its input -> (B, K, channels).

        Float32 (or more) under autocast too: bfloat16 would round keypoints to whole pixels; metres hang on hundredths.
        """
        spread, activation, last = self.heads[name].children()
        weight = spread.get_parameter("weight")
        with torch.autocast(around.device.type, enabled=False):
            around = around.to(weight.dtype)
            hidden = activation(F.linear(around, weight.flatten(1), spread.get_parameter("bias")))
            return F.linear(hidden, last.get_parameter("weight").flatten(1), last.get_parameter("bias"))


# Heads that training reads at the objects' cells, or at their keypoints' cells, and nowhere else.
READ_AT = dict.fromkeys(("hps", "dim", "rot", "prob", "depth", "reg", "wh"), "objects") | {"hp_offset": "keypoints"}


def patches(maps: Tensor, index: Tensor) -> Tensor:
    """The 3x3 neighbourhoods of cells index (B, K) = y W + x in maps (B, C, H, W), zero outside -> (B, K, C * 9)."""
    width = maps.shape[3]
    padded = F.pad(maps, (1, 1, 1, 1)).permute(0, 2, 3, 1).flatten(1, 2)
    corner = torch.div(index, width, rounding_mode="floor") * (width + 2) + index % width
    steps = torch.tensor([dy * (width + 2) + dx for dy in range(3) for dx in range(3)], device=index.device)
    batch = torch.arange(len(index), device=index.device)[:, None, None]
    return padded[batch, corner[..., None] + steps].transpose(2, 3).flatten(2)


class Deployed(nn.Module):
    """The graph that is exported: everything from the warped image to boxes, in standard ONNX operations.

    image: (1, H, W, 3) uint8 RGB, already warped to the network's input size.
    intrinsics: (1, 3, 3) float32, K of the original image.
    grid_to_image: (1, 2, 3) float32, affine from cells of the output grid to pixels of the original image.
    Returns the outputs of OUTPUTS, as `codec.decode` describes them, K = contract.max_detections.

    Export with torch.onnx.export(..., opset_version=18, dynamo=True), which needs onnxscript; shapes are static. What
    follows the heads stays float32 whatever the precision of the network: metres come from differences of a few
    hundredths of a pixel.
    """

    INPUTS = ("image", "intrinsics", "grid_to_image")
    OUTPUTS = ("center", "size", "yaw", "score", "label", "box2d", "keypoints", "depth")
    TRAINING_ONLY = ("hm_hp", "hp_offset")

    def __init__(self, network: KM3DNet) -> None:
        super().__init__()
        self.network = network
        self.contract = network.contract

    def forward(self, image: Tensor, intrinsics: Tensor, grid_to_image: Tensor) -> tuple[Tensor, ...]:
        wanted = tuple(name for name in self.contract.heads if name not in self.TRAINING_ONLY)
        maps = {name: value.float() for name, value in self.network(normalise(image), wanted).items()}
        found = decode(self.contract, maps, intrinsics, grid_to_image)
        return tuple(found[name] for name in self.OUTPUTS)

    def example(self) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs of the right shapes, for tracing: a grey image from a camera like KITTI's."""
        contract = self.contract
        image = torch.full((1, contract.input_height, contract.input_width, 3), 128, dtype=torch.uint8)
        focal = 0.58 * contract.input_width
        center = (contract.input_width / 2, contract.input_height / 2)
        intrinsics = torch.tensor([[[focal, 0, center[0]], [0, focal, center[1]], [0, 0, 1]]])
        return image, intrinsics, torch.tensor([[[4.0, 0.0, 1.5], [0.0, 4.0, 1.5]]])
