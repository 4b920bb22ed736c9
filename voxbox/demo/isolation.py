"""A corner of DDS of one's own: a demo neither hears a robot on the network nor moves one."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO

from ament_index_python.packages import get_package_share_directory

from voxbox_core.errors import InputError

PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
_DOMAINS = range(1, 102)  # those whose ports do not collide with Linux's ephemeral ports


def shipped_profile() -> Path:
    """The DDS profile with shared memory for large messages, as the launch file uses it."""
    return Path(get_package_share_directory("voxbox")) / "config" / "fastdds_shm_big.xml"


@contextmanager
def own_domain(profile: bool = True) -> Iterator[int]:
    """Environment variables for this process and its children: a domain that no other demo has, on this machine only.

    profile: use the shipped DDS profile, unless the user has chosen one; False uses none, the launch files' neither.
    Raises InputError when a hundred demos are running.
    """
    with free_domain() as domain, nullcontext() if profile else _empty_profile() as empty:
        wanted = {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        if not profile:
            wanted[PROFILE] = str(empty)
        elif PROFILE not in os.environ:
            wanted[PROFILE] = str(shipped_profile())
        before = {name: os.environ.get(name) for name in (*wanted, "ROS_STATIC_PEERS")}
        os.environ.update(wanted)
        os.environ.pop("ROS_STATIC_PEERS", None)
        try:
            yield domain
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


@contextmanager
def _empty_profile() -> Iterator[Path]:
    """A file that leaves everything to Fast DDS; the launch files keep a profile that is set."""
    with tempfile.TemporaryDirectory(prefix="voxbox-dds-") as folder:
        path = Path(folder) / "default.xml"
        # One profile, which nobody asks for: of a file without any, Fast DDS complains.
        unused = '<participant profile_name="unused"><rtps></rtps></participant>'
        path.write_text(f'<profiles xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">{unused}</profiles>')
        yield path


@contextmanager
def free_domain() -> Iterator[int]:
    """A number held by a locked file, which the system lets go of when this process ends, however it ends.

    Raises InputError when all are held.
    """
    start = os.getpid() % len(_DOMAINS)
    for domain in (*_DOMAINS[start:], *_DOMAINS[:start]):
        lock = _locked(Path(tempfile.gettempdir()) / f"voxbox-domain-{domain}.lock")
        if lock is not None:
            with lock:
                yield domain
            return
    raise InputError("free ROS domains", "none", "one of 1..101", "End the other demos of this machine.")


def _locked(path: Path) -> IO[str] | None:
    """The file, locked as long as it is open; None where it is busy, or another user's."""
    with suppress(OSError):
        lock = path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return None
        return lock
    return None
