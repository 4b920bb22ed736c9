"""The ament_python package `voxbox`: built by colcon, and by pip in the environment of `make setup`."""

from itertools import groupby
from pathlib import Path

from setuptools import find_packages, setup

NAME = "voxbox"
ROOMS = ["voxbox", "voxbox_core", "msgs", "km3d_ros", "point_detr3d_ros", "ssz_ros"]
SHARED_FOLDERS = ["launch", "config", "models"]


def shared_files() -> list[tuple[str, list[str]]]:
    """What goes to share/voxbox as (folder, files) pairs: launch files, configuration and released models."""
    files = sorted(p for folder in SHARED_FOLDERS for p in Path(folder).rglob("*") if p.is_file())
    folders = groupby((p for p in files if "__pycache__" not in p.parts), key=lambda p: p.parent)
    return [(f"share/{NAME}/{folder}", [str(p) for p in paths]) for folder, paths in folders]


setup(
    name=NAME,
    version="0.1.0",
    description="3D boxes and semantic voxels from camera and LiDAR topics: ROS 2 nodes, training and evaluation",
    license="Apache-2.0",
    maintainer="voxbox developers",
    maintainer_email="voxbox@example.com",
    python_requires=">=3.10",
    packages=find_packages(include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")]),
    package_data={"": ["*.ttf", "*.glsl", "*.html", "*.json", "*.mcap", "*.yaml", "*.voxels/**/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *shared_files(),
    ],
    install_requires=["setuptools"],  # the rest: rosdep (package.xml) or requirements/run.txt
    extras_require={"test": ["pytest"]},
    entry_points={
        "console_scripts": [
            "voxbox = voxbox.cli:main",
            "bringup = voxbox.bringup:main",
            "build_engine = voxbox.build_engine:main",
            "km3d = km3d_ros.node:main",
            "point_detr3d = point_detr3d_ros.node:main",
            "ssz = ssz_ros.node:main",
        ],
    },
    zip_safe=False,
)
