"""Point-DETR3D on a LiDAR: 3D boxes from `points`, by itself or by a click in RViz, with a bag when asked.

    ros2 launch voxbox point_detr3d.launch.py points:=/lidar/points
    ros2 launch voxbox point_detr3d.launch.py mode:=both points:=/lidar/points images:=/front/image_raw rviz:=true \
        rviz_frame:=velodyne label_file:=labels.jsonl

The node configures and activates itself. `ros2 launch voxbox point_detr3d.launch.py --show-args` lists the arguments.
"""

import os
import sys
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory("voxbox"))
DDS_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
BAG_DELAY = 5.0  # s in which the node loads its model before rosbag2 begins; voxbox's own player waits for a listener

# Arguments that become node parameters when they are given; their defaults are the node's own.
PARAMETERS = {
    "mode": (str, "detect: boxes of every cloud; assist: boxes of clicks; both"),
    "model": (str, "a released model's name, its folder, or an .onnx file"),
    "assist_model": (str, "the model that answers clicks: a released model's name or its folder"),
    "backend": (str, "auto, torch, onnxruntime, openvino or tensorrt"),
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
ARGUMENTS = {
    "points": ("points", "topic of the LiDAR"),
    "odometry": ("odometry", "topic of the vehicle's odometry, for sweeps"),
    "clicked_point": ("/clicked_point", "topic of RViz's Publish Point tool"),
    "namespace": ("", "namespace of the node and its topics"),
    "params_file": (str(SHARE / "config" / "point_detr3d.yaml"), "parameters of the node"),
    "bag": ("", "bag to play, on its own clock"),
    "use_sim_time": ("", "true or false; when empty, true with a bag"),
    "rviz": ("false", "open RViz"),
    "rviz_frame": ("", "fixed frame of RViz: the LiDAR's, or one that tf connects to it; when empty target_frame"),
}


def generate_launch_description() -> LaunchDescription:
    """Called by ros2 launch."""
    arguments = {name: ("", description) for name, (_, description) in PARAMETERS.items()} | ARGUMENTS
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in arguments.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list:
    """The processes that the arguments ask for."""
    given = {name: LaunchConfiguration(name).perform(context) for name in (*PARAMETERS, *ARGUMENTS)}
    bag = given["bag"]
    sim_time = truth(given["use_sim_time"] or str(bool(bag)))
    if not Path(given["params_file"]).is_file():
        raise ValueError(f"params_file is {given['params_file']!r}; expected a YAML file of parameters")
    with_rviz = truth(given["rviz"])
    if with_rviz:
        get_package_prefix("rviz2")  # raises here, before the node starts: launch would leave the node behind
    actions: list = []
    if DDS_PROFILE not in os.environ:
        actions.append(SetEnvironmentVariable(DDS_PROFILE, str(SHARE / "config" / "fastdds_shm_big.xml")))
    actions.append(point_detr3d(given, sim_time))
    if bag:
        clock = ["--clock"] if sim_time else []
        actions.append(ExecuteProcess(cmd=[*player(), bag, *clock], output="screen"))
    if with_rviz:
        actions.append(rviz(given, sim_time))
    return actions


def point_detr3d(given: dict[str, str], sim_time: bool) -> Node:
    """The detector's node."""
    overrides = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, (kind, _) in PARAMETERS.items()
        if given[name]
    }
    return Node(
        package="voxbox",
        executable="point_detr3d",
        name="point_detr3d",
        namespace=given["namespace"],
        parameters=[given["params_file"], {"use_sim_time": sim_time, **overrides}],
        remappings=[(topic, given[topic]) for topic in ("points", "odometry", "clicked_point")],
        output="screen",
    )


def player() -> list[str]:
    """rosbag2's player; voxbox's own where rosbag2 is not installed."""
    try:
        get_package_prefix("ros2bag")
    except PackageNotFoundError:
        return [sys.executable, "-m", "voxbox.cli", "bag", "play"]
    return ["ros2", "bag", "play", "--disable-keyboard-controls", "--delay", str(BAG_DELAY)]


def rviz(given: dict[str, str], sim_time: bool) -> Node:
    """RViz with the points, the boxes and the tools to click; the layout's topics are relative to the namespace."""
    fixed = given["rviz_frame"] or given["target_frame"]
    frame = ["-f", fixed] if fixed else []
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=given["namespace"],
        arguments=["-d", str(SHARE / "config" / "rviz" / "point_detr3d.rviz"), *frame],
        parameters=[{"use_sim_time": sim_time}],
        remappings=[("points", given["points"])],
    )


def truth(text: str) -> bool:
    """A boolean argument's value. Raises ValueError on anything but true and false."""
    if text.lower() not in ("true", "false"):
        raise ValueError(f"a launch argument is {text!r}; expected true or false")
    return text.lower() == "true"
