"""Training Point-DETR3D: four stages from few boxes and many points to a detector."""
