"""Stand-in for the part of ROS 2 `launch_ros` that voxbox uses. Whatever is not here raises."""
