"""interfaces.py FOLDER: write the message packages that PyPI lacks, as packages that pip can build.

tf2_msgs has the definitions that `rosbags` carries. Of vision_msgs, the messages that voxbox publishes are declared
here by field name and type. ROS 2 itself tells whether two definitions agree by their RIHS01 hash (REP 2016), and so
does this file: every type must hash to what the released packages have, or nothing is written.
"""

import shutil
import sys
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

VISION_MSGS = {
    "ObjectHypothesis": "string class_id\nfloat64 score\n",
    "ObjectHypothesisWithPose": "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n",
    "BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\n",
    "Detection3D": ("std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox3D bbox\nstring id\n"),
    "Detection3DArray": "std_msgs/Header header\nDetection3D[] detections\n",
    "VisionClass": "uint16 class_id\nstring class_name\n",
    "LabelInfo": "std_msgs/Header header\nVisionClass[] class_map\nfloat32 threshold\n",
}
TF2_MSGS = ("TF2Error", "TFMessage")
RELEASED = {
    "vision_msgs/msg/ObjectHypothesis": "51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "vision_msgs/msg/ObjectHypothesisWithPose": ("41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc"),
    "vision_msgs/msg/BoundingBox3D": "bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
    "vision_msgs/msg/Detection3D": "ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
    "vision_msgs/msg/Detection3DArray": "793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
    "vision_msgs/msg/VisionClass": "1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a",
    "vision_msgs/msg/LabelInfo": "3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    "tf2_msgs/msg/TF2Error": "db2485e7d6a0ec75bf087e058ee45df682acc3a621ca7780503d10aac141809a",
    "tf2_msgs/msg/TFMessage": "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
}

PACKAGE_XML = """<?xml version="1.0"?>
<package format="3">
  <name>{name}</name>
  <version>{version}</version>
  <description>Message definitions, generated for a machine without ROS</description>
  <maintainer email="voxbox@example.com">voxbox developers</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
{depends}
  <exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""
CMAKE_LISTS = """cmake_minimum_required(VERSION 3.21)
project({name})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
{find}
rosidl_generate_interfaces({name} {files} DEPENDENCIES {depends})
ament_export_dependencies(rosidl_default_runtime)
ament_package()
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "ament_wheel"\nbackend-path = ["."]\n'


def checked_definitions() -> tuple[dict[str, str], dict[str, str]]:
    """The .msg texts of vision_msgs and tf2_msgs by message name. Raises SystemExit where a hash disagrees."""
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(
        {
            key: value
            for name, text in VISION_MSGS.items()
            for key, value in get_types_from_msg(text, f"vision_msgs/msg/{name}").items()
        }
    )
    for kind, released in RELEASED.items():
        if (found := store.hash_rihs01(kind)) != f"RIHS01_{released}":
            raise SystemExit(f"{kind} hashes to {found}; expected RIHS01_{released}, the released package's")
    return VISION_MSGS, {name: own_definition(store, f"tf2_msgs/msg/{name}") for name in TF2_MSGS}


def own_definition(store: Typestore, kind: str) -> str:
    """The .msg text of one message, without those of the messages inside it."""
    text, _ = store.generate_msgdef(kind, ros_version=2)
    return text.split("=" * 80)[0].rstrip() + "\n"


def write_package(folder: Path, version: str, messages: dict[str, str], depends: tuple[str, ...]) -> None:
    """Write one interface package, with the backend that makes it a wheel."""
    name = folder.name
    (folder / "msg").mkdir(parents=True)
    for message, text in messages.items():
        (folder / "msg" / f"{message}.msg").write_text(text)
    tags = "\n".join(f"  <depend>{d}</depend>" for d in depends)
    (folder / "package.xml").write_text(PACKAGE_XML.format(name=name, version=version, depends=tags))
    find = "\n".join(f"find_package({d} REQUIRED)" for d in depends)
    files = " ".join(f'"msg/{message}.msg"' for message in messages)
    (folder / "CMakeLists.txt").write_text(
        CMAKE_LISTS.format(name=name, find=find, files=files, depends=" ".join(depends))
    )
    (folder / "pyproject.toml").write_text(PYPROJECT)
    shutil.copy(Path(__file__).with_name("ament_wheel.py"), folder)


def main(folder: Path) -> None:
    """Write both packages under a folder, which must not hold them yet."""
    vision, tf2 = checked_definitions()
    write_package(folder / "vision_msgs", "4.1.1", vision, ("std_msgs", "geometry_msgs"))
    write_package(folder / "tf2_msgs", "0.36.4", tf2, ("builtin_interfaces", "geometry_msgs"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
