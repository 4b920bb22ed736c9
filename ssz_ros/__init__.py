"""SSZ: an image to semantic voxels."""
