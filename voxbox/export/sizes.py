"""Sizes of another fleet: a network learns how large cars are where it was trained, and places them accordingly.

From one camera, a car that is 7% shorter than the network believes is seen 7% farther away than it is. Scaling the
sizes by the ratio of the two fleets' means mends both (statistical normalisation: Wang et al., "Train in Germany, Test
in the USA", CVPR 2020, section 5), without training: sizes are residuals over the contract's class means.
"""

from collections.abc import Sequence
from dataclasses import replace

from km3d_ros.contract import Contract
from voxbox_core.errors import InputError


def with_scaled_sizes(contract: Contract, scales: Sequence[str]) -> Contract:
    """scales: texts CLASS=LENGTH,WIDTH,HEIGHT, mean size where the model will be used over mean size where it learned.

    Raises InputError for a class the contract lacks, or anything but three positive numbers.
    """
    means = dict(zip(contract.classes, contract.mean_dims, strict=True))
    for text in scales:
        name, length, width, height = _parsed(text, contract)
        mean_height, mean_width, mean_length = means[name]
        means[name] = (mean_height * height, mean_width * width, mean_length * length)
    return replace(contract, mean_dims=tuple(means[name] for name in contract.classes))


def _parsed(text: str, contract: Contract) -> tuple[str, float, float, float]:
    name, _, numbers = text.partition("=")
    try:
        length, width, height = (float(number) for number in numbers.split(","))
    except ValueError:
        length = width = height = 0.0
    if name not in contract.classes or min(length, width, height) <= 0:
        expected = f"CLASS=LENGTH,WIDTH,HEIGHT with a class of {', '.join(contract.classes)} and ratios above 0"
        raise InputError("--scale-size", repr(text), expected, "For example Car=0.93,0.95,1.01.")
    return name, length, width, height
