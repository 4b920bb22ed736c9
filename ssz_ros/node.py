"""The lifecycle node `ssz`: camera images in, semantic voxels and the free ground out. Wiring only."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from nav_msgs.msg import OccupancyGrid
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo
from visualization_msgs.msg import MarkerArray

from msgs.boxes import label_info
from msgs.camera_view import CameraView, View
from msgs.ground import GroundMap
from msgs.images import read_image
from msgs.voxels import HERE, VoxelMarkers, voxel_cloud
from ssz_ros.parameters import Parameters
from ssz_ros.reconstructor import SSZ
from voxbox_core.errors import InputError
from voxbox_core.ros.inputs import Input
from voxbox_core.ros.lifecycle import PerceptionNode
from voxbox_core.ros.models import model_path
from voxbox_core.ros.process import leave, run
from voxbox_core.voxels import Voxels

_MUCH = 0.1  # part of the grid: images are seldom of its very shape
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_SOURCES = {
    "raw": (("image", Image),),
    "compressed": (("image", CompressedImage), ("image/compressed", CompressedImage)),
    "auto": (("image", Image), ("image", CompressedImage), ("image/compressed", CompressedImage)),
}


class SszNode(PerceptionNode[Parameters]):
    """Subscribes to `image` and `camera_info`; publishes `voxels`, `voxel_markers`, `ground` and `label_info`."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("ssz", Parameters, **node_options)
        self._reconstructor: SSZ | None = None
        self._view = CameraView()

    def load(self) -> None:
        """The reconstructor, and the topics that tell of its voxels."""
        p = self.parameters
        self._markers = VoxelMarkers(p.max_cubes, p.marker_lifetime)
        self._ground = GroundMap(p.ground_resolution, p.vehicle_height)
        # Last: `facts` looks for it.
        self._reconstructor = SSZ.open(model_path(p.model), p.backend, p.threads, p.precision)
        self._voxels_out = self.output(PointCloud2, "voxels")
        self._markers_out = self.output(MarkerArray, "voxel_markers")
        # Latched as every map: Nav2's static layer, and RViz's Map with it, ask for that.
        self._ground_out = self.output(OccupancyGrid, "ground", _LATCHED)
        self._label_info_out = self.output(LabelInfo, "label_info", _LATCHED)

    def unload(self) -> None:
        """The reconstructor and what was known of the camera."""
        self._reconstructor = None
        self._view = CameraView()

    def inputs(self) -> list[Input]:
        """The image and its calibration, which need not come together."""
        self._tell_labels()
        self._camera_info_in = self.listen(
            "camera_info",
            [("camera_info", CameraInfo)],
            lambda message: self._view.hear(message, self.problems.report),
            once=True,
        )
        image_in = self.listen("image", _SOURCES[self.parameters.image_transport], self.take)
        return [self._camera_info_in, image_in]

    def facts(self) -> Mapping[str, object]:
        """Which model runs and how, and what it sees."""
        ssz = self._reconstructor
        if ssz is None:
            return {"model": self.parameters.model}
        height = "unknown" if self._ground.height is None else f"{self._ground.height:.2f}"
        return {
            "model": self.parameters.model,
            "backend": ssz.backend,
            "precision": ssz.precision,
            "grid outside of the image": f"{ssz.padding:.0%}",
            "camera height m": height,
        }

    def process(self, message: Any) -> Mapping[str, float]:
        """One image -> voxels on the topics that somebody listens to, those for eyes last."""
        assert self._reconstructor is not None
        begun = time.perf_counter()
        image = read_image(message, self._reconstructor.device, self.once)
        view = self._view.require(
            image, message.header, self.parameters.unrectified, self._camera_info_in.missing, self.problems.report
        )
        image = view.rectify(image)
        decoded = time.perf_counter()
        voxels = self._reconstructor(image, view.camera)
        found = time.perf_counter()
        self._tell_padding(self._reconstructor, view)
        pose, header = self._placed(message.header)
        if self._voxels_out.get_subscription_count():
            cells = voxels.surface if self.parameters.cells == "surface" else voxels.occupied
            self._voxels_out.publish(voxel_cloud(voxels, cells, header, pose or HERE))
        self._publish_ground(voxels, header, pose)
        published = time.perf_counter()
        if self._markers_out.get_subscription_count():
            self._markers.most = self.parameters.max_cubes
            self._markers_out.publish(self._markers.of(voxels, voxels.surface, header, pose or HERE))
        shown = {"show": time.perf_counter() - published}
        return {"decode": decoded - begun, **self._reconstructor.stages, "publish": published - found, **shown}

    def _placed(self, header: Any) -> tuple[tuple[np.ndarray, np.ndarray] | None, Any]:
        """The pose of the camera in the frame that the parameter asks for, and the header in it; None and the camera's
        own where it asks for none. Raises InputError when tf does not know it."""
        target = self.parameters.target_frame
        if not target or target == header.frame_id:
            return None, header
        pose = self.transform(target, header.frame_id, header.stamp, ", or leave target_frame empty")
        return pose, Header(stamp=header.stamp, frame_id=target)

    def _publish_ground(self, voxels: Voxels, header: Any, pose: tuple[np.ndarray, np.ndarray] | None) -> None:
        """A grid that cannot be made is complained about; the voxels are none the worse."""
        if not self._ground_out.get_subscription_count():
            return
        p, ground = self.parameters, self._ground
        ground.resolution, ground.vehicle_height = p.ground_resolution, p.vehicle_height
        ground.camera_height = p.camera_height
        try:
            self._ground_out.publish(ground.of(voxels, header, pose))
        except InputError as error:
            self.problems.report(error)

    def _tell_padding(self, ssz: SSZ, view: View) -> None:
        """The image is used all the same; where it does not reach, nothing is said."""
        if ssz.padding <= _MUCH:
            return
        grid = ssz.contract.fruxel
        needed = 2 * np.degrees(np.arctan(grid.rows / 2 / grid.focal))
        k = view.camera.intrinsics
        wide, high = (
            f"{2 * np.degrees(np.arctan(size / 2 / focal)):.0f}"
            for size, focal in ((view.camera.width, k[0, 0]), (view.camera.height, k[1, 1]))
        )
        self.problems.report(
            InputError(
                "field of view",
                f"{wide} x {high} deg about ({k[0, 2]:.0f}, {k[1, 2]:.0f}) of {view.camera.width}x{view.camera.height}",
                f"the model's {grid.alpha:.0f} x {needed:.0f} deg",
                f"{ssz.padding:.0%} of the grid is outside of the image, and stays unknown.",
            )
        )

    def _tell_labels(self) -> None:
        assert self._reconstructor is not None
        header = Header(stamp=self.get_clock().now().to_msg())
        self._label_info_out.publish(label_info(self._reconstructor.contract.classes, 0.0, header))


def main() -> None:
    """The executable `ros2 run voxbox ssz`."""
    leave(run(SszNode))


if __name__ == "__main__":
    main()
