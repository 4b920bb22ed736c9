"""A drive played into a fresh node, as a vehicle runs it: its own process, its own launch file, over DDS."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tqdm import tqdm

from voxbox.demo.isolation import own_domain
from voxbox.demo.node_process import NodeProcess
from voxbox.demo.replay import Feed, Replay
from voxbox.demo.session import Session, session
from voxbox_core.datasets.bag import Bag


def replay_into_node(
    feed: Feed,
    parameters: Mapping[str, str],
    bag: Bag,
    log: Path,
    speed: float = 1.0,
    limit: int | None = None,
    lockstep: bool = False,
    profile: bool = True,
    label: str = "drive",
    prepare: Callable[[Session], None] | None = None,
) -> Replay:
    """Start the node, play the first `limit` frames at `speed` recorded seconds per second, and end the node.

    parameters: further arguments of the launch file; empty ones are left out.  log: file for what the node says.
    lockstep: hold each frame back until the one before is answered.  profile: with the shipped DDS profile.
    prepare: called before the node is waited for.
    Raises InputError when the node does not come to run, or ends before the drive does.
    """
    total = min(feed.frames.count, limit or feed.frames.count)
    with own_domain(profile) as domain:
        tqdm.write(f"starting the node {feed.system} (ROS domain {domain}, this machine only)")
        with (
            NodeProcess(feed.system, {**feed.arguments, "use_sim_time": "true", **parameters}, log) as node,
            session(bag, feed, domain) as player,
        ):
            if prepare is not None:
                prepare(player)
            player.wait_until_running(node.check, tqdm.write)
            player.wait_until_matched(node.check, tqdm.write)
            tqdm.write(f"node {feed.system}: {_in_words(player.replay)}")
            with tqdm(total=total, desc=label, unit="frame") as bar:

                def progress(sent: int, answered: int) -> None:
                    bar.set_postfix(answered=answered, refresh=False)
                    bar.update(sent - bar.n)

                player.play(speed, limit, node.check, progress, lockstep)
            return player.replay


def _in_words(replay: Replay) -> str:
    values = replay.values
    return f"running, model {values.get('model')}, {values.get('backend')} ({values.get('precision')})"
