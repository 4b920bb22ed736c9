"""What the demo of one system is, seen by the command; the rest is the same for all."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from voxbox.demo.artefacts import Artefacts
from voxbox.demo.replay import Feed, Replay

if TYPE_CHECKING:
    from voxbox.demo.session import Session  # needs ROS


class System(Protocol):
    """Made of the command line and an open bag, whose first frame it has read.

    feed: what the node gets.  notes: what was guessed, for the user.  setting: for metrics.json.
    """

    feed: Feed
    notes: tuple[str, ...]
    setting: Mapping[str, Any]

    def parameters(self, folder: Path) -> Mapping[str, str]:
        """More arguments of the launch file; `folder` will be the output's."""

    def prepare(self, session: "Session") -> None:
        """Called before the replay begins."""

    def make(self, folder: Path, replay: Replay, rate: float) -> Artefacts:
        """Write film, pictures and recording into the folder.  rate: frames/s as recorded."""
