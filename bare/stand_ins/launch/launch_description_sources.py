"""Where a launch description comes from."""

from typing import Any


class PythonLaunchDescriptionSource:
    """A Python launch file."""

    def __init__(self, launch_file_path: Any) -> None:
        self.location = launch_file_path
