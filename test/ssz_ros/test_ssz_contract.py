"""A contract says which grids an architecture can fill, and refuses the others."""

from dataclasses import replace

import pytest

from ssz_ros.contract import PRESETS, Contract
from voxbox_core.errors import InputError
from voxbox_core.fruxel import PAPER, STREET


@pytest.mark.parametrize("name", PRESETS)
def test_reads_its_own_text(name: str) -> None:
    assert Contract.from_json(PRESETS[name].to_json()) == PRESETS[name]


def test_grids_of_presets_are_those_of_the_paper_and_of_the_street() -> None:
    assert PRESETS["street"].fruxel == PRESETS["ssz-street"].fruxel == STREET
    assert PRESETS["ssz128"].fruxel == PRESETS["zgan128"].fruxel == PRESETS["c2d128"].fruxel == PAPER
    assert PRESETS["street"].input_size == (192, 96)


def test_the_deepest_level_follows_from_the_grid() -> None:
    assert PRESETS["ssz128"].bottleneck == (1, 1, 1)
    assert PRESETS["ssz-street"].bottleneck == (4, 3, 6)


def test_skips_are_the_maps_of_the_same_size() -> None:
    contract = Contract(encoder=(8, 16, 24, 32), decoder=(20, 12, 10))
    assert contract.skips == (24, 16, 8)
    assert replace(contract, per_cell=1, decoder=(20, 12, 10, 9)).skips == (24, 16, 8, 0)
    assert replace(contract, per_cell=4, decoder=(20, 12)).skips == (24, 16)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"classes": ("car", "air")}, "classes"),
        ({"architecture": "unet"}, "architecture"),
        ({"order": "both"}, "order"),
        ({"rows": 40}, "rows"),
        ({"columns": 97}, "columns"),
        ({"architecture": "ssz", "slices": 60}, "slices"),
        ({"decoder": (128, 96, 64)}, "decoder"),
        ({"encoder": ()}, "encoder"),
        ({"encoder": (32, 0, 8, 8, 8)}, "encoder"),
        ({"expansion": 0}, "expansion"),
        ({"per_cell": 3}, "per_cell"),
        ({"per_cell": 32}, "per_cell"),
        ({"rows": 16, "columns": 16}, "encoder"),
        ({"near": -1.0}, "near"),
    ],
)
def test_refuses_by_name(change: dict, what: str) -> None:
    with pytest.raises(InputError, match=rf"(value|^) ?{what}"):
        replace(Contract(), **change)


def test_channels_as_depth_do_not_care_for_the_number_of_slices() -> None:
    assert replace(Contract(), slices=61).slices == 61
