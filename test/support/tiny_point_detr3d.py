"""Point-DETR3D, small, over a small range."""

from point_detr3d_ros.contract import Contract

TINY = Contract(
    x=(-12.8, 12.8),
    y=(-6.4, 6.4),
    per_pillar=6,
    max_pillars=600,
    pillar_channels=8,
    stage_channels=(8, 12, 16),
    stage_layers=(1, 1, 1),
    neck_channels=8,
    head_channels=8,
    max_detections=20,
    dim=16,
    heads=2,
    free_points=2,
    roi_grid=3,
    ffn=16,
    image_width=64,
    image_height=32,
    image_channels=(8, 8, 8),
)
