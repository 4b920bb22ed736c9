"""A drive played into a fresh node, as a vehicle runs it: its own process, its own launch file, over DDS."""

from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from voxbox.demo.isolation import own_domain
from voxbox.demo.node_process import NodeProcess
from voxbox.demo.replay import Replay
from voxbox.demo.session import session
from voxbox_core.datasets.bag import Bag, DriveTopics


def replay_into_node(
    system: str,
    parameters: Mapping[str, str],
    bag: Bag,
    topics: DriveTopics,
    log: Path,
    speed: float = 1.0,
    limit: int | None = None,
    lockstep: bool = False,
    profile: bool = True,
    label: str = "drive",
) -> Replay:
    """Start the node, play the first `limit` images at `speed` recorded seconds per second, and end the node.

    parameters: further arguments of the launch file; empty ones are left out.  log: file for what the node says.
    lockstep: hold each image back until the one before is answered.  profile: with the shipped DDS profile.
    Raises InputError when the node does not come to run, or ends before the drive does.
    """
    arguments = {"image": topics.image.name, "camera_info": topics.camera_info or "", "use_sim_time": "true"}
    total = min(topics.image.count, limit or topics.image.count)
    with own_domain(profile) as domain:
        tqdm.write(f"starting the node {system} (ROS domain {domain}, this machine only)")
        with (
            NodeProcess(system, {**arguments, **parameters}, log) as node,
            session(bag, topics, system, domain) as player,
        ):
            player.wait_until_running(node.check, tqdm.write)
            player.wait_until_matched(node.check, tqdm.write)
            tqdm.write(f"node {system}: {_in_words(player.replay)}")
            with tqdm(total=total, desc=label, unit="frame") as bar:

                def progress(sent: int, answered: int) -> None:
                    bar.set_postfix(answered=answered, refresh=False)
                    bar.update(sent - bar.n)

                player.play(speed, limit, node.check, progress, lockstep)
            return player.replay


def _in_words(replay: Replay) -> str:
    values = replay.values
    return f"running, model {values.get('model')}, {values.get('backend')} ({values.get('precision')})"
