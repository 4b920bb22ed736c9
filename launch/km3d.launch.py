"""KM3D on a camera: 3D boxes from `image` and `camera_info`, with a bag and RViz when asked.

    ros2 launch voxbox km3d.launch.py image:=/cam/image_raw camera_info:=/cam/camera_info
    ros2 launch voxbox km3d.launch.py bag:=drive.mcap image:=/cam/image_raw camera_info:=/cam/camera_info rviz:=true

The node configures and activates itself. `ros2 launch voxbox km3d.launch.py --show-args` lists the arguments.
"""

from launch import LaunchDescription

from voxbox_core.ros.launching import System, described

# Arguments that become node parameters when they are given; their defaults are the node's own.
PARAMETERS = {
    "model": (str, "a released model's name, its folder, or an .onnx file"),
    "backend": (str, "auto, torch, onnxruntime, openvino or tensorrt"),
    "precision": (str, "auto, fp32, fp16 or int8: which ONNX file of the model"),
    "score_threshold": (float, "lowest score of a published box, 0 to 1; 0 takes the model's own"),
    "target_frame": (str, "tf frame of the published boxes; the camera's when empty"),
    "unrectified": (str, "undistort, refuse or rectified: what to do with images whose camera_info has distortion"),
}
TOPICS = {
    "image": ("image", "topic of the camera: Image or CompressedImage"),
    "camera_info": ("camera_info", "topic of the camera's calibration"),
}


def generate_launch_description() -> LaunchDescription:
    """Called by ros2 launch."""
    return described(System("km3d", PARAMETERS, TOPICS))
