"""Point-DETR3D on a LiDAR: 3D boxes from `points`, by itself or by a click in RViz, with a bag when asked.

    ros2 launch voxbox point_detr3d.launch.py points:=/lidar/points
    ros2 launch voxbox point_detr3d.launch.py mode:=both points:=/lidar/points images:=/front/image_raw rviz:=true \
        rviz_frame:=velodyne label_file:=labels.jsonl

The node configures and activates itself. `ros2 launch voxbox point_detr3d.launch.py --show-args` lists the arguments.
"""

from launch import LaunchDescription

from voxbox_core.ros.launching import System, described

# Arguments that become node parameters when they are given; their defaults are the node's own.
PARAMETERS = {
    "mode": (str, "detect: boxes of every cloud; assist: boxes of clicks; both"),
    "model": (str, "a released model's name, its folder, or an .onnx file"),
    "assist_model": (str, "the model that answers clicks: a released model's name or its folder"),
    "backend": (str, "auto, torch, onnxruntime, openvino or tensorrt"),
    "precision": (str, "auto, fp32, fp16 or int8: which ONNX file of the model"),
    "score_threshold": (float, "lowest score of a published box, 0 to 1; 0 takes the model's own"),
    "sensor_height": (float, "height of the LiDAR above the ground, m; 0 finds out"),
    "ground_frame": (str, "tf frame on the ground, x forward, that makes a tilted or turned LiDAR level"),
    "sweeps": (int, "clouds put together; more than one needs odometry or fixed_frame"),
    "fixed_frame": (str, "tf frame that stands still"),
    "target_frame": (str, "tf frame of the published boxes; the LiDAR's when empty"),
    "images": (str, "image topics of up to 6 cameras, separated by commas"),
    "camera_infos": (str, "their camera_info topics; the ones beside the images when empty"),
    "click_class": (str, "class of a click that names none; when empty the one that fits best"),
    "label_file": (str, "file that accepted boxes are appended to"),
}
TOPICS = {
    "points": ("points", "topic of the LiDAR"),
    "odometry": ("odometry", "topic of the vehicle's odometry, for sweeps"),
    "clicked_point": ("/clicked_point", "topic of RViz's Publish Point tool"),
}


def generate_launch_description() -> LaunchDescription:
    """Called by ros2 launch."""
    return described(System("point_detr3d", PARAMETERS, TOPICS, shown=("points",)))
