"""The ground floor: what every perception system of voxbox shares. numpy and torch; ROS in `voxbox_core.ros` alone."""
