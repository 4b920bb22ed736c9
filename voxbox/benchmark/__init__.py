"""The `voxbox benchmark` verb: how fast, by stage, by backend and over DDS."""
