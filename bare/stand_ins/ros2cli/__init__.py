"""Stand-in for the part of the `ros2` command that voxbox's users need: `ros2 launch` and `ros2 run`."""
