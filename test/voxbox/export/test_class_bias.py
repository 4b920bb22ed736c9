"""The biases of classes: found where they are known, and in the deployed graph."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_ssz import TINY

from ssz_ros.network import Deployed, build, normalise
from voxbox.export.class_bias import Cells, best_bias, gather
from voxbox.training.ssz.data import Frame
from voxbox_core.datasets.voxel_sample import Poses
from voxbox_core.voxels import UNKNOWN

NOBODY = Poses(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 4)), np.zeros((0, 3)))


def known_cells(called_too_often: float) -> Cells:
    """Three classes of known posteriors, the last one's logit too high by so much."""
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 60_000, p=(0.8, 0.15, 0.05))
    logits = rng.normal(0, 1, (len(truth), 3)).astype(np.float32)
    logits[np.arange(len(truth)), truth] += 2.5
    logits[:, 2] += called_too_often
    return Cells(logits, truth, np.ones(len(truth)))


def test_what_is_called_too_often_is_called_less() -> None:
    cells = known_cells(1.5)
    bias = best_bias(cells)
    assert bias[0] == 0 and -1 <= bias[2] < -0.5
    assert cells.mean_iou(np.array(bias, np.float32)) > cells.mean_iou(np.zeros(3, np.float32)) + 0.05


def test_no_class_gets_more_than_a_little() -> None:
    assert min(best_bias(known_cells(3.0))) == -1


def test_thinned_cells_count_for_all() -> None:
    """The IoU of the gathered cells is that of all known cells."""
    torch.manual_seed(0)
    network = build(TINY).eval()
    width, height = TINY.input_size
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    with torch.no_grad():
        logits = network(normalise(torch.from_numpy(image[None])))[0]
    labels = logits.argmax(0).numpy().astype(np.uint8)
    wrong = rng.random(labels.shape) < 0.3
    labels[wrong] = rng.choice([0, 2, 9, UNKNOWN], wrong.sum())
    cells = gather(network, [Frame(image, labels, NOBODY)], TINY)
    known = labels != UNKNOWN
    assert len(cells.truth) < known.sum() and cells.weight.sum() == pytest.approx(known.sum())
    whole = Cells(logits.flatten(1).T.numpy()[known.ravel()], labels[known].astype(np.int64), np.ones(known.sum()))
    none = np.zeros(len(TINY.classes), np.float32)
    assert cells.mean_iou(none) == pytest.approx(whole.mean_iou(none))


def test_the_deployed_graph_adds_them() -> None:
    torch.manual_seed(0)
    never = replace(TINY, class_bias=(0.0, *(-1e4 for _ in TINY.classes[1:])))
    network = build(never).eval()
    image = torch.randint(0, 256, (1, TINY.input_size[1], TINY.input_size[0], 3), dtype=torch.uint8)
    (labels,) = Deployed(network)(image)
    assert not labels.any()
    network.contract = TINY
    (labels,) = Deployed(network)(image)
    assert labels.any()
