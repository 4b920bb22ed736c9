"""The stand-ins are strict, and the set-up uses them only where the real packages are absent."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

STAND_INS = Path(__file__).resolve().parents[2] / "bare" / "stand_ins"


def origin(package):
    spec = importlib.util.find_spec(package)
    return Path(spec.origin) if spec and spec.origin else Path()


bare = pytest.mark.skipif(
    not origin("launch").is_relative_to(STAND_INS), reason="the real launch is installed here: no stand-ins in use"
)


def run(code, **options):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **options)


@bare
@pytest.mark.parametrize(
    "code",
    [
        "from launch.actions import TimerAction",
        "from launch_ros.actions import LifecycleNode",
        "import launch.event_handlers",
        "from tf2_ros import TransformListener as T; T(None, None, spin_thread=True)",
        "from launch_ros.actions import Node; Node(package='a', executable='b', respawn=True)",
        "from launch.actions import ExecuteProcess; ExecuteProcess(cmd=['a'], output='terminal')",
        "from launch_ros.parameter_descriptions import ParameterValue; ParameterValue('1', value_type=list)",
    ],
)
def test_what_a_stand_in_does_not_do_raises(code):
    assert run(code).returncode == 1


@bare
def test_a_real_package_comes_first(tmp_path):
    (tmp_path / "launch").mkdir()
    (tmp_path / "launch" / "__init__.py").write_text("WHO = 'the real one'\n")
    found = run("import launch, sys; print(launch.WHO)", env={"PYTHONPATH": str(tmp_path), "PATH": ""})
    assert found.stdout == "the real one\n", found.stderr


@bare
def test_variables_of_another_environment_do_no_harm():
    """The ROS wheels mark a process tree as prepared; started from another environment, that is not so."""
    inherited = {"_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1", "LD_LIBRARY_PATH": "/another/lib", "PATH": ""}
    found = run("import rclpy.utilities as u; print(u.get_rmw_implementation_identifier())", env=inherited)
    assert found.stdout == "rmw_fastrtps_cpp\n", found.stderr
