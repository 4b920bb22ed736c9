"""The `voxbox voxels` verb: labelled LiDAR frames as voxel samples, and pictures of such."""
