"""SSZ on a camera: semantic voxels and the free ground from `image` and `camera_info`, with a bag and RViz when asked.

    ros2 launch voxbox ssz.launch.py image:=/cam/image_raw camera_info:=/cam/camera_info
    ros2 launch voxbox ssz.launch.py bag:=drive.mcap image:=/cam/image_raw camera_info:=/cam/camera_info rviz:=true \
        rviz_frame:=camera_optical
    ros2 launch voxbox ssz.launch.py image:=/cam/image_raw camera_info:=/cam/camera_info target_frame:=base_link

The node configures and activates itself. `ros2 launch voxbox ssz.launch.py --show-args` lists the arguments.
"""

from launch import LaunchDescription

from voxbox_core.ros.launching import System, described

# Arguments that become node parameters when they are given; their defaults are the node's own.
PARAMETERS = {
    "model": (str, "a released model's name, its folder, or an .onnx file"),
    "backend": (str, "auto, torch, onnxruntime, openvino or tensorrt"),
    "precision": (str, "auto, fp32, fp16 or int8: which ONNX file of the model"),
    "cells": (str, "surface or occupied: which cells are points of the cloud"),
    "target_frame": (str, "tf frame of all that is published, z up for Nav2; the camera's when empty"),
    "unrectified": (str, "undistort, refuse or rectified: what to do with images whose camera_info has distortion"),
    "ground_resolution": (float, "side of a cell of the ground's grid, m"),
    "vehicle_height": (float, "air that the vehicle needs above the ground, m"),
    "camera_height": (float, "height of the camera above the ground, m; 0 finds out"),
}
TOPICS = {
    "image": ("image", "topic of the camera: Image or CompressedImage"),
    "camera_info": ("camera_info", "topic of the camera's calibration"),
}


def generate_launch_description() -> LaunchDescription:
    """Called by ros2 launch."""
    return described(System("ssz", PARAMETERS, TOPICS, shown=("image",)))
