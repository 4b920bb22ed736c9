"""KM3D-Net: from one camera image to 3D boxes, by keypoints and geometry (Li, 2020, "Monocular 3D Detection with
Geometric Constraints Embedding and Semi-supervised Training")."""
