"""The street world's LiDAR against closed forms."""

import numpy as np
import pytest

from voxbox_core.datasets.street.lidar import PATTERNS, LidarPattern, cast, scan
from voxbox_core.errors import InputError

EXACT = LidarPattern(range_noise=0.0, dropout=0.0, dark_range=1000.0)
FACES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
VERTICES = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
CUBE = np.array([VERTICES[list(t)] for a, b, c, d in FACES for t in ((a, b, c), (a, c, d))])


def _plane(z: float, half: float = 500.0) -> np.ndarray:
    a, b, c, d = [-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]
    return np.array([[a, b, c], [a, c, d]])


def _cast(triangles: np.ndarray, pattern: LidarPattern = EXACT) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return cast(triangles, np.deg2rad(pattern.elevations), pattern.columns, 0.0, pattern.farthest)


def test_a_ground_plane_is_hit_where_trigonometry_says() -> None:
    distance, hit, incidence = _cast(_plane(-1.73))
    expected = 1.73 / np.maximum(-np.sin(np.deg2rad(EXACT.elevations)), 1e-9)
    seen = expected <= EXACT.farthest
    assert np.allclose(distance[seen], expected[seen, None], rtol=1e-12)
    assert np.allclose(incidence[seen], 1.73 / expected[seen, None])
    assert (hit[~seen] == -1).all() and np.isinf(distance[~seen]).all()


def test_inside_a_closed_box_every_ray_hits_and_every_hit_lies_on_a_face() -> None:
    """Also the watertightness of seams: no ray of 133,312 escapes, whichever way the box is turned."""
    half = np.array([9.0, 4.0, 2.5])
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    distance, hit, _ = _cast(((CUBE - 0.5) * 2 * half) @ turn.T)
    assert (hit >= 0).all()
    elevation = np.deg2rad(EXACT.elevations)[:, None]
    azimuth = (np.arange(EXACT.columns) * 2 * np.pi / EXACT.columns)[None]
    rays = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation) + 0 * azimuth], -1
    )
    expected = (half / np.maximum(np.abs(rays @ turn), 1e-300)).min(-1)
    assert np.allclose(distance, expected, rtol=1e-9)


def test_rays_find_the_nearest_of_many_random_triangles() -> None:
    """Against the plain way: every ray with every triangle (Moeller and Trumbore)."""
    rng = np.random.default_rng(3)
    pattern = LidarPattern(np.linspace(-80, 80, 12), columns=60)
    triangles = rng.uniform(-12, 12, (80, 1, 3)) + rng.uniform(-6, 6, (80, 3, 3))
    distance, hit, _ = _cast(triangles, pattern)
    elevation, azimuth = np.meshgrid(np.deg2rad(pattern.elevations), np.arange(60) * 2 * np.pi / 60, indexing="ij")
    rays = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], -1)
    a, e1, e2 = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    h = np.cross(rays[:, :, None], e2)
    det = (h * e1).sum(-1)
    u = -(h * a).sum(-1) / det
    q = np.cross(-a, e1)
    v = (rays[:, :, None] * q).sum(-1) / det
    t = (e2 * q).sum(-1) / det
    t = np.where((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0), t, np.inf)
    assert np.array_equal(hit, np.where(np.isinf(t.min(-1)), -1, t.argmin(-1)))
    assert np.allclose(distance, t.min(-1))


def test_a_scan_is_in_the_lidar_frame_and_knows_what_it_hit() -> None:
    """A cube ahead of a sensor that stands elsewhere, looks elsewhere: its points lie on it, in sensor coordinates."""
    angle = 2.1
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:3, 3] = [40.0, -7.0, 1.8]
    cube = CUBE + np.array([10.0, -0.5, -1.0])
    world = np.concatenate([cube, _plane(-1.8)]) @ pose[:3, :3].T + pose[:3, 3]
    ids = np.repeat([7, 0], [len(cube), 2])
    result = scan(world, ids, np.full(len(ids), 0.5), pose, EXACT, np.random.default_rng(0))
    on_cube = result.points[result.instance == 7, :3]
    assert len(on_cube) > 50
    assert np.allclose(on_cube[:, 0], 10.0, atol=1e-4)
    assert np.allclose(result.points[result.instance == 0, 2], -1.8, atol=1e-4)


def test_noise_dropout_and_dark_surfaces() -> None:
    ground = _plane(-1.73)

    def points(reflectivity: float, **change: float) -> np.ndarray:
        pattern = LidarPattern(**change)
        rng = np.random.default_rng(1)
        return scan(ground, np.zeros(2, int), np.full(2, reflectivity), np.eye(4), pattern, rng).points

    everything = points(0.9, range_noise=0.0, dropout=0.0, dark_range=1000.0)
    assert len(points(0.9, dropout=0.25, dark_range=1000.0)) == pytest.approx(0.75 * len(everything), rel=0.01)
    noisy = points(0.9, range_noise=0.05, dropout=0.0, dark_range=1000.0)
    steep = np.linalg.norm(noisy[:, :3], axis=1) < 5
    error = (np.linalg.norm(noisy[:, :3], axis=1) - np.linalg.norm(everything[:, :3], axis=1))[steep]
    assert error.std() == pytest.approx(0.05, rel=0.05)
    far = [(np.linalg.norm(cloud[:, :3], axis=1) > 40).mean() for cloud in (points(0.02), points(0.9))]
    assert far[0] < far[1] / 2
    assert ((everything[:, 3] > 0) & (everything[:, 3] <= 1)).all()


def test_the_same_seed_gives_the_same_points() -> None:
    args = (CUBE * 9 - 4.0, np.zeros(12, int), np.full(12, 0.4), np.eye(4), PATTERNS[16])
    first = scan(*args, np.random.default_rng(5)).points
    assert np.array_equal(first, scan(*args, np.random.default_rng(5)).points)
    assert not np.array_equal(first, scan(*args, np.random.default_rng(6)).points)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elevations": [3.0, 1.0]}, "ascending"),
        ({"elevations": [0.0, 90.0]}, "degrees within"),
        ({"columns": 0}, "firings per turn"),
        ({"nearest": 5.0, "farthest": 2.0}, "nearest < farthest"),
        ({"dropout": 1.5}, "a share in"),
    ],
)
def test_a_wrong_pattern_is_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LidarPattern(**change)
