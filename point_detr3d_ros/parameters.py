"""What an operator of the node `point_detr3d` can choose."""

from dataclasses import dataclass

from msgs.cameras import UNRECTIFIED
from voxbox_core.ros.parameters import NodeParameters, parameter

MODES = ("detect", "assist", "both")


@dataclass(frozen=True)
class Parameters(NodeParameters):
    """Defaults, limits and meanings, written once."""

    mode: str = parameter("detect", "detect: boxes of every cloud; assist: boxes of clicks; or both", choices=MODES)
    model: str = parameter("point-detr3d-street", "a released model's name, its folder, or an .onnx file")
    assist_model: str = parameter(
        "point-detr3d-street-assist", "the model that answers clicks: a released model's name or its folder"
    )
    score_threshold: float = parameter(
        0.0, "least score of a published box; 0 takes the model's own, class by class", low=0.0, high=1.0, live=True
    )
    sensor_height: float = parameter(
        0.0,
        "height of the LiDAR above the ground, m; 0 finds out, by tf to ground_frame or by the clouds",
        low=0.0,
        high=20.0,
        live=True,
    )
    ground_frame: str = parameter(
        "base_footprint",
        "tf frame on the ground, x forward and z up, that makes a tilted or turned LiDAR level; empty for none",
        live=True,
    )
    intensity_full: float = parameter(
        0.0, "intensity that counts as 1; 0 finds out: 1, 255, 4095 or 65535 by the greatest seen", low=0.0, high=1e6
    )
    sweeps: int = parameter(
        1, "clouds put together, the newest and those before it; no more than the model learned from", low=1, high=20
    )
    fixed_frame: str = parameter(
        "",
        "tf frame that stands still, to put clouds and images of several moments together; empty for none",
        live=True,
    )
    images: str = parameter("", "image topics of up to 6 cameras, separated by commas; clicks are answered with them")
    camera_infos: str = parameter("", "their camera_info topics, in that order; empty takes the one beside each image")
    max_skew: float = parameter(
        0.1,
        "greatest difference of an image's stamp to the cloud's, s; beyond it is left out",
        low=0.0,
        high=10.0,
        live=True,
    )
    image_wait: float = parameter(
        0.03, "how long a cloud waits for images as new as itself, s", low=0.0, high=1.0, live=True
    )
    unrectified: str = parameter(
        "undistort",
        "when camera_info has distortion: undistort the image, refuse it, or take it as rectified already",
        choices=UNRECTIFIED,
        live=True,
    )
    click_class: str = parameter(
        "", "class of a click that names none; empty finds out which class fits best", live=True
    )
    click_threshold: float = parameter(
        0.1, "least score of a click's box; below it the click is refused", low=0.0, high=1.0, live=True
    )
    auto_accept: bool = parameter(False, "accept a click's box at once", live=True)
    label_file: str = parameter("", "file that accepted boxes are appended to; empty for none", live=True)
    marker_lifetime: float = parameter(0.5, "how long RViz keeps the markers of a cloud, s", low=0.0, high=60.0)
