"""ROS 2 bags without ROS: what is in one, its frames, and new ones. mcap and sqlite3, a folder or a single file.

types.py knows the message definitions, messages.py builds messages from arrays, reader.py opens a bag, topics.py
finds the camera in it, frames.py brings together what belongs to one image, rig.py what belongs to one cloud of
several cameras' drive, writer.py makes bags.
The other direction, from a bag's messages to arrays, is the work of the package `msgs`, which serves rclpy as well.
"""

from voxbox_core.datasets.bag.frames import Frame, frames
from voxbox_core.datasets.bag.reader import Bag, Message, Topic
from voxbox_core.datasets.bag.topics import DriveTopics, find_topics
from voxbox_core.datasets.bag.writer import BagWriter, new_bag, storage_of, write_drive, write_rig_drive

__all__ = [
    "Bag",
    "BagWriter",
    "DriveTopics",
    "Frame",
    "Message",
    "Topic",
    "find_topics",
    "frames",
    "new_bag",
    "storage_of",
    "write_drive",
    "write_rig_drive",
]
