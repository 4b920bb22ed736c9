"""Point-DETR3D: LiDAR and cameras to 3D boxes, by itself or by a click (Gao et al., AAAI 2024)."""
