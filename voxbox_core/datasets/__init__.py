"""Where truth comes from: KITTI folders, ROS 2 bags and the synthetic street world, all read as Samples."""
