"""KM3D, Point-DETR3D and SSZ in one process, which receives and decodes an image that two of them want once.

    ros2 launch voxbox bringup.launch.py image:=/cam/image_raw camera_info:=/cam/camera_info points:=/lidar/points
    ros2 launch voxbox bringup.launch.py image:=/cam/image_raw camera_info:=/cam/camera_info point_detr3d:=false
    ros2 launch voxbox bringup.launch.py bag:=drive.mcap image:=/cam/image_raw camera_info:=/cam/camera_info \
        points:=/lidar/points target_frame:=base_link rviz:=true

The nodes configure and activate themselves. `detections`, `markers`, `label_info` and `latency` have the name of their
node in front. Parameters of one node are written in a copy of config/bringup.yaml, which is given as params_file.
"""

from launch import LaunchDescription

from voxbox_core.ros.launching import System, described

NODES = ("km3d", "point_detr3d", "ssz")
# Arguments that become parameters of every node when they are given; their defaults are the nodes' own.
PARAMETERS = {
    "backend": (str, "auto, torch, onnxruntime, openvino or tensorrt"),
    "precision": (str, "auto, fp32, fp16 or int8: which ONNX file of the model"),
    "threads": (int, "CPU threads of each engine; 0 leaves it the choice"),
    "target_frame": (str, "tf frame of all that is published in 3D; the sensor's when empty"),
}
TOPICS = {
    "image": ("image", "topic of the camera: Image or CompressedImage"),
    "camera_info": ("camera_info", "topic of the camera's calibration"),
    "points": ("points", "topic of the LiDAR"),
    "odometry": ("odometry", "topic of the vehicle's odometry, for sweeps"),
    "clicked_point": ("/clicked_point", "topic of RViz's Publish Point tool"),
}


def generate_launch_description() -> LaunchDescription:
    """Called by ros2 launch."""
    return described(System("bringup", PARAMETERS, TOPICS, shown=("image", "points"), nodes=NODES))
