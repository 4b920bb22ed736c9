"""The `voxbox bag` verb: look into bags, make them from KITTI frames, play them; and bags as a data set."""
