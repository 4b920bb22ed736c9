"""Runs whenever the Python of `.venv` starts; `make setup` puts it there, first among the start-up files.

It joins the environment to the ament index, where launch files and nodes look for `voxbox`, and undoes what the ROS
wheels of another environment have left in the variables of a process that this one was started from.
"""

import os
import sys

BOOTSTRAPPED = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
LIBRARIES, INDEX = "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH"


def entries(variable: str) -> list[str]:
    """The folders that a path variable lists."""
    return [e for e in os.environ.get(variable, "").split(os.pathsep) if e]


def join_ament_index() -> None:
    """Append this environment, so that a sourced workspace keeps precedence."""
    if sys.prefix not in entries(INDEX):
        os.environ[INDEX] = os.pathsep.join([*entries(INDEX), sys.prefix])


def forget_other_wheels() -> None:
    """The ROS wheels set their library path once per process tree: a child of another environment has the wrong one."""
    if BOOTSTRAPPED in os.environ and os.path.join(sys.prefix, "lib") not in entries(LIBRARIES):
        del os.environ[BOOTSTRAPPED]
        os.environ.pop(LIBRARIES, None)


join_ament_index()
forget_other_wheels()
