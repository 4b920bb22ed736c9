"""Training of SSZ: a generator on voxels, alone or against a discriminator that estimates 6D poses."""
