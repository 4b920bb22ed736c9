"""Backbones have the published shapes, sizes and names, and load the published kind of file."""

from pathlib import Path

import pytest
import torch

from voxbox_core.backbones import DLA34, ResNet18, load_imagenet
from voxbox_core.errors import InputError

# Parameters of the published DLA-34 that this one lacks: two projections whose output nothing uses.
DLA_UNUSED = (64 * 128 + 2 * 128) + (128 * 256 + 2 * 256)


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts() -> None:
    assert parameters(ResNet18()) == 11_689_512 - 513_000  # without the classifier
    assert parameters(DLA34()) + DLA_UNUSED == 15_270_832


@pytest.mark.parametrize("backbone", [ResNet18(), ResNet18(0.5), DLA34()], ids=["resnet18", "half", "dla34"])
def test_features_are_at_strides_4_to_32(backbone: ResNet18 | DLA34) -> None:
    shapes = [tuple(f.shape[1:]) for f in backbone.eval()(torch.zeros(1, 3, 64, 128))]
    assert shapes == [(c, 64 // s, 128 // s) for c, s in zip(backbone.channels, (4, 8, 16, 32), strict=True)]
    assert all(c % 32 == 0 for c in backbone.channels)


@pytest.mark.parametrize("kind", [ResNet18, DLA34])
def test_no_parameter_is_dead(kind: type) -> None:
    torch.manual_seed(0)
    backbone = kind()
    sum(f.square().sum() for f in backbone(torch.randn(2, 3, 64, 64))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())


def test_from_scratch_the_signal_neither_dies_nor_explodes() -> None:
    torch.manual_seed(0)
    for feature in ResNet18(0.5)(torch.randn(2, 3, 64, 64)):
        assert 0.1 < feature.std() < 10


@pytest.mark.parametrize(
    ("kind", "unused"),
    [
        (ResNet18, ("fc.weight", "fc.bias")),
        (DLA34, ("fc.weight", "fc.bias", "level3.project.0.weight", "level4.project.1.running_var")),
    ],
)
def test_published_files_load(tmp_path: Path, kind: type, unused: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    published = kind()
    state = {n: v for n, v in published.state_dict().items() if not n.endswith("num_batches_tracked")}  # as they are
    torch.save(state | {name: torch.zeros(3) for name in unused}, tmp_path / "w.pth")
    backbone = kind()
    load_imagenet(backbone, tmp_path / "w.pth")
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(backbone.eval()(x)[3], published.eval()(x)[3])


def test_the_names_are_the_published_ones() -> None:
    resnet, dla = ResNet18().state_dict(), DLA34().state_dict()
    assert {"conv1.weight", "bn1.running_mean", "layer2.0.downsample.0.weight", "layer4.1.bn2.bias"} <= resnet.keys()
    assert {
        "base_layer.0.weight",
        "level1.1.weight",
        "level2.project.0.weight",
        "level5.root.conv.weight",
    } <= dla.keys()
    assert {"level3.tree1.tree1.conv1.weight", "level3.tree1.project.1.bias", "level4.tree2.root.bn.bias"} <= dla.keys()
    roots = {"level2": 128, "level3.tree1": 256, "level3.tree2": 448, "level4.tree1": 512, "level4.tree2": 896}
    for name, width in (roots | {"level5": 1280}).items():
        assert dla[f"{name}.root.conv.weight"].shape[1] == width


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    with pytest.raises(InputError, match="an existing file"):
        load_imagenet(ResNet18(), file)
    file.write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(InputError, match="unreadable"):
        load_imagenet(ResNet18(), file)
    torch.save([1, 2], file)
    with pytest.raises(InputError, match="is list; expected a state dict"):
        load_imagenet(ResNet18(), file)
    torch.save(DLA34().state_dict(), file)
    with pytest.raises(InputError, match="ResNet18"):
        load_imagenet(ResNet18(), file)
    torch.save(ResNet18(0.5).state_dict(), file)
    with pytest.raises(InputError, match="shape of .*for width 1"):
        load_imagenet(ResNet18(), file)
