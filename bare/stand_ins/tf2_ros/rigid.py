"""Rigid transforms as (translation (3,) m, quaternion (4,) x y z w), with the few operations a buffer needs."""

from typing import NamedTuple

import numpy as np
from geometry_msgs.msg import Transform

PARALLEL = 1.0 - 1e-9


class Rigid(NamedTuple):
    """Takes points from a child frame to its parent."""

    translation: np.ndarray
    quaternion: np.ndarray


IDENTITY = Rigid(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))


def from_message(transform: Transform) -> Rigid:
    """Read a message; the quaternion is normalised. Raises ValueError where it has no length."""
    t, q = transform.translation, transform.rotation
    quaternion = np.array([q.x, q.y, q.z, q.w])
    length = np.linalg.norm(quaternion)
    if not 0.0 < length < np.inf:
        raise ValueError(f"a transform's quaternion is {quaternion.tolist()}; expected a length above zero")
    return Rigid(np.array([t.x, t.y, t.z]), quaternion / length)


def to_message(rigid: Rigid) -> Transform:
    """Write a message."""
    message = Transform()
    message.translation.x, message.translation.y, message.translation.z = map(float, rigid.translation)
    rotation = message.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = map(float, rigid.quaternion)
    return message


def rotate(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """The vector turned by a unit quaternion."""
    axis, w = quaternion[:3], quaternion[3]
    return vector + 2.0 * np.cross(axis, np.cross(axis, vector) + w * vector)


def compose(outer: Rigid, inner: Rigid) -> Rigid:
    """First `inner`, then `outer`."""
    a, b = outer.quaternion, inner.quaternion
    axis = a[3] * b[:3] + b[3] * a[:3] + np.cross(a[:3], b[:3])
    product = np.array([*axis, a[3] * b[3] - a[:3] @ b[:3]])
    return Rigid(outer.translation + rotate(a, inner.translation), product / np.linalg.norm(product))


def inverse(rigid: Rigid) -> Rigid:
    """The way back."""
    conjugate = rigid.quaternion * np.array([-1.0, -1.0, -1.0, 1.0])
    return Rigid(-rotate(conjugate, rigid.translation), conjugate)


def between(a: Rigid, b: Rigid, fraction: float) -> Rigid:
    """Translation on the straight line, rotation on the shorter great arc."""
    cosine = float(a.quaternion @ b.quaternion)
    end = b.quaternion if cosine >= 0.0 else -b.quaternion
    angle = np.arccos(min(abs(cosine), 1.0))
    if abs(cosine) > PARALLEL:
        weights = 1.0 - fraction, fraction
    else:
        weights = np.sin((1.0 - fraction) * angle) / np.sin(angle), np.sin(fraction * angle) / np.sin(angle)
    quaternion = weights[0] * a.quaternion + weights[1] * end
    translation = (1.0 - fraction) * a.translation + fraction * b.translation
    return Rigid(translation, quaternion / np.linalg.norm(quaternion))
