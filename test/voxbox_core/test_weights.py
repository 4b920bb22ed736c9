"""Weights go out and come back with their contract, and bad files are refused by name."""

import pytest
import torch
from torch import nn

from voxbox_core import weights
from voxbox_core.errors import InputError


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.mark.parametrize(("half", "tolerance"), [(False, 0.0), (True, 1e-3)])
def test_round_trip(tmp_path, half, tolerance):
    module, other = small(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    weights.save(tmp_path / "w.pt", module.state_dict(), '{"a": 1}', half)
    loaded = weights.load(tmp_path / "w.pt")
    weights.load_into(other, loaded)
    assert loaded.contract == '{"a": 1}'
    for mine, theirs in zip(module.state_dict().values(), other.state_dict().values(), strict=True):
        assert theirs.dtype == mine.dtype and torch.allclose(mine, theirs, atol=tolerance, rtol=0)


def test_half_halves_the_file(tmp_path):
    state = {"w": torch.randn(200, 200)}
    weights.save(tmp_path / "f", state, "{}")
    weights.save(tmp_path / "h", state, "{}", half=True)
    assert (tmp_path / "h").stat().st_size < 0.6 * (tmp_path / "f").stat().st_size


def test_half_keeps_tiny_variances(tmp_path):
    weights.save(tmp_path / "h", {"running_var": torch.tensor([1e-9])}, "{}", half=True)
    assert weights.load(tmp_path / "h").state["running_var"].item() == pytest.approx(1e-9)


def spoil_text(path):
    path.write_text("not weights")


def spoil_truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def spoil_empty(path):
    path.write_bytes(b"")


def spoil_foreign(path):
    torch.save({"state_dict": {}}, path)


def spoil_code(path):
    torch.save({"format": nn.Linear(1, 1)}, path)  # a pickled class, which weights_only refuses to run


def spoil_nan(path):
    weights.save(path, {"w": torch.tensor([float("nan")])}, "{}")


@pytest.mark.parametrize("spoil", [spoil_text, spoil_truncated, spoil_empty, spoil_foreign, spoil_code, spoil_nan])
def test_a_bad_file_is_named_with_expectation_and_remedy(tmp_path, spoil):
    path = tmp_path / "w.pt"
    weights.save(path, small().state_dict(), "{}")
    spoil(path)
    with pytest.raises(InputError, match="w.pt is .*expected ") as caught:
        weights.load(path)
    assert caught.value.remedy


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(InputError, match="absent.pt"):
        weights.load(tmp_path / "absent.pt")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3)), "unknown 1.bias"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(1, 1)), "without 2.bias, 2.weight"),
        (nn.Sequential(nn.Conv2d(3, 4, 5), nn.BatchNorm2d(4)), r"shape of 0.weight .*\(4, 3, 3, 3\).*\(4, 3, 5, 5\)"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, module, message):
    weights.save(tmp_path / "w.pt", small().state_dict(), "{}")
    with pytest.raises(InputError, match=message):
        weights.load_into(module, weights.load(tmp_path / "w.pt"))


def test_known_weights_are_taken_and_new_layers_stay(tmp_path):
    weights.save(tmp_path / "w.pt", small().state_dict(), "{}")
    grown = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(1, 1))
    fresh = grown[2].weight.clone()
    weights.load_known(grown, weights.load(tmp_path / "w.pt"))
    assert torch.equal(grown[0].weight, small()[0].weight)
    assert torch.equal(grown[2].weight, fresh)


def test_weights_that_hardly_fit_are_not_taken(tmp_path):
    weights.save(tmp_path / "w.pt", small().state_dict(), "{}")
    with pytest.raises(InputError, match=r"w.pt is 0 of 2 tensors fit.*expected a file of nearly the same network"):
        weights.load_known(nn.Sequential(nn.Linear(2, 2)), weights.load(tmp_path / "w.pt"))


def test_a_failed_save_leaves_the_old_file(tmp_path):
    weights.save(tmp_path / "w.pt", small().state_dict(), "{}")
    before = (tmp_path / "w.pt").read_bytes()
    with pytest.raises(AttributeError):
        weights.save(tmp_path / "w.pt", {"a": "no tensor"}, "{}")
    assert (tmp_path / "w.pt").read_bytes() == before and len(list(tmp_path.iterdir())) == 1
