"""Class-balanced resampling of frames, so that rare classes are seen as often as frequent ones (CBGS)."""

from collections.abc import Sequence

import numpy as np

from voxbox_core.errors import InputError


def class_balanced(labels: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Frames to train on in one epoch: (K,) int64 indices, in random order (Zhu et al., 2019).

    labels: (N_i,) int64 classes of the objects of each frame.
    With n_c the number of frames that show class c, every class that occurs has as many frames drawn, with
    replacement, from those that show it: the mean of n_c. So an epoch is longer than the data set where frames show
    several classes. Frames without objects are not drawn. Raises InputError where no frame has an object.
    """
    pairs = [(label, i) for i, frame in enumerate(labels) for label in np.unique(frame)]
    if not pairs:
        raise InputError("labels of the frames", "empty", "at least one object", "Check the data folder.")
    label, frame = np.array(pairs, np.int64).T
    classes = np.unique(label)
    each = len(frame) // len(classes)
    drawn = [rng.choice(frame[label == c], each) for c in classes]
    return rng.permutation(np.concatenate(drawn))
