"""The drives that come with voxbox; voxbox_core/datasets/street/splits.py says how they were made."""

from pathlib import Path

SHIPPED_DRIVE = Path(__file__).with_name("street_drive.mcap")
"""One camera, and a LiDAR that is not needed."""

SHIPPED_RIG_DRIVE = Path(__file__).with_name("street_rig_drive.mcap")
"""A LiDAR and two cameras."""
