"""How many camera images reach a subscriber over DDS, and how late: with the shipped profile and without.

A sender and a receiver, each in a process of its own, as a camera driver and a node are. The receiver listens as the
nodes do: depth 1, so that an image which comes before the last one was taken is lost.
"""

import array
import multiprocessing
import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from voxbox.demo.isolation import own_domain
from voxbox_core.errors import InputError

WIDTH, HEIGHT = 1242, 375
TOPIC = "/camera/image"
PROFILES = {"shipped": True, "default": False}
RELIABILITIES = ("best_effort", "reliable")
_START_LIMIT = 60.0  # s in which both processes must have started and found one another
_AFTER = 0.5  # s in which the last image may still come


@dataclass(frozen=True)
class Delivery:
    """One measurement.  latency: ms from publishing to the callback, percentiles of what arrived."""

    profile: str
    reliability: str
    rate_hz: float
    sent: int
    received: int
    latency_p50: float | None
    latency_p99: float | None

    @property
    def percent(self) -> float:
        return 100 * self.received / self.sent


def measure_all(rates: Sequence[float], count: int) -> list[Delivery]:
    """Every profile, reliability and rate, images/s, with `count` images each."""
    settings = [(p, r, rate) for p in PROFILES for r in RELIABILITIES for rate in rates]
    return [measure(p, r, rate, count) for p, r, rate in tqdm(settings, desc="delivery", unit="setting")]


def table(found: list[Delivery]) -> str:
    """A line per measurement."""
    lines = [f"{'profile':10}{'subscriber':14}{'rate':>6}{'delivered':>16}{'p50':>10}{'p99':>10}"]
    for d in found:
        late = [f"{v:.1f} ms" if v is not None else "-" for v in (d.latency_p50, d.latency_p99)]
        lines.append(
            f"{d.profile:10}{d.reliability:14}{d.rate_hz:6g}{f'{d.received}/{d.sent}':>10}{d.percent:5.0f}%"
            f"{late[0]:>10}{late[1]:>10}"
        )
    return "\n".join(lines)


def measure(profile: str, reliability: str, rate: float, count: int) -> Delivery:
    """Send `count` images at `rate` images/s from one process to another."""
    spawn = multiprocessing.get_context("spawn")  # DDS reads its profile once per process
    with own_domain(PROFILES[profile]):
        results, done = spawn.Queue(), spawn.Event()
        receiver = spawn.Process(target=_receive, args=(reliability, done, results), daemon=True)
        sender = spawn.Process(target=_send, args=(rate, count, done), daemon=True)
        receiver.start()
        sender.start()
        try:
            late = results.get(timeout=_START_LIMIT + 2 * count / rate)
        except queue.Empty:
            raise InputError("the receiving process", "silent", "a count of images", "Try again.") from None
        finally:
            for process in (sender, receiver):
                process.join(timeout=5.0)
                process.kill()
    p50, p99 = (float(np.percentile(late, p)) for p in (50, 99)) if late else (None, None)
    return Delivery(profile, reliability, rate, count, len(late), p50, p99)


def _send(rate: float, count: int, done: Any) -> None:
    """A camera driver: a reliable publisher, which any subscriber matches."""
    import rclpy
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("delivery_sender")
    publisher = node.create_publisher(Image, TOPIC, QoSProfile(depth=10))
    image = Image(width=WIDTH, height=HEIGHT, encoding="bgr8", step=3 * WIDTH)
    image.data = array.array("B", np.random.default_rng(0).bytes(3 * WIDTH * HEIGHT))
    deadline = time.monotonic() + _START_LIMIT
    while not publisher.get_subscription_count() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)  # the subscriber has found this publisher too
    begun = time.monotonic()
    for i in range(count):
        time.sleep(max(0.0, begun + i / rate - time.monotonic()))
        image.header.stamp.sec, image.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
        publisher.publish(image)
    time.sleep(_AFTER)
    done.set()
    rclpy.shutdown()


def _receive(reliability: str, done: Any, results: Any) -> None:
    """A node's input; puts the latency of each image, ms, into `results`."""
    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("delivery_receiver")
    late: list[float] = []

    def take(message: Image) -> None:
        stamp = message.header.stamp
        late.append((time.time_ns() - stamp.sec * 10**9 - stamp.nanosec) / 1e6)

    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy[reliability.upper()])
    node.create_subscription(Image, TOPIC, take, qos)
    while not done.is_set():
        rclpy.spin_once(node, timeout_sec=0.05)
    results.put(late)
    rclpy.shutdown()
