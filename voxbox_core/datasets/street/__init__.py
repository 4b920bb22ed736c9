"""The synthetic street world: a seeded scene, what its camera and LiDAR see, and the truth about it."""
