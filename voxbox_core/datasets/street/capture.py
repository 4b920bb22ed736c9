"""One moment of a scene through its sensors: what the camera and the LiDAR see, and the truth about it."""

from dataclasses import dataclass

import numpy as np

from voxbox_core.datasets.sample import Sample
from voxbox_core.datasets.street.labels import Object, Truth, annotate
from voxbox_core.datasets.street.lidar import LidarPattern, Scan, scan
from voxbox_core.datasets.street.render import Frame, Renderer
from voxbox_core.datasets.street.scene import Scene


@dataclass(frozen=True)
class Capture:
    """sample: image, camera, truth and LiDAR points, as of any data set.
    depth: (H, W) along the optical axis, m, inf where nothing is.  instance: (H, W) object id, 0 for the static
    world.  point_instance: (P,) the same for the sample's points, None without LiDAR.
    """

    sample: Sample
    depth: np.ndarray
    instance: np.ndarray
    point_instance: np.ndarray | None = None


def capture(
    scene: Scene,
    renderer: Renderer,
    time: float,
    name: str,
    pattern: LidarPattern | None = None,
    rng: np.random.Generator | None = None,
    stamp: float | None = None,
) -> Capture:
    """The scene at `time`, s since its beginning.

    pattern: of the LiDAR, None for none.  rng: decides what the LiDAR loses and how noisy it is.
    stamp: the sample's, s.
    """
    frame = renderer.render(scene, time)
    truth = _truth(scene, time, frame)
    turn = None if pattern is None else _scan(scene, time, pattern, rng or np.random.default_rng(0))
    rig = scene.rig
    sample = Sample(
        name=name,
        image=frame.rgb,
        camera=scene.camera,
        boxes=truth.boxes,
        truncation=truth.truncation,
        occlusion=truth.occlusion,
        dont_care=truth.dont_care,
        points=None if turn is None else turn.points,
        lidar_to_camera=np.linalg.inv(rig.ego_from_camera) @ rig.ego_from_lidar,
        stamp=stamp,
        world_from_camera=scene.world_from_camera(time),
    )
    return Capture(sample, frame.depth, frame.instance, None if turn is None else turn.instance)


def _truth(scene: Scene, time: float, frame: Frame) -> Truth:
    camera_from_world = np.linalg.inv(scene.world_from_camera(time))
    objects = [
        Object(
            kind=item.kind,
            size=np.asarray(item.size),
            camera_from_object=camera_from_world @ item.pose(time),
            triangles=item.mesh.triangles(),
            visible=int(frame.visible_pixels[item.id]),
            alone=int(frame.amodal_pixels[item.id]),
        )
        for item in scene.instances
    ]
    return annotate(objects, scene.camera)


def _scan(scene: Scene, time: float, pattern: LidarPattern, rng: np.random.Generator) -> Scan:
    vertices, instance, _, reflectivity = scene.triangles(time)
    return scan(vertices, instance, reflectivity, scene.world_from_lidar(time), pattern, rng)
