"""Stand-in for the part of ROS 2 `launch` that voxbox uses. Whatever is not here raises."""

from .launch_context import LaunchContext
from .launch_description import LaunchDescription
from .launch_service import LaunchService

__all__ = ["LaunchContext", "LaunchDescription", "LaunchService"]
