"""What voxbox expects of launch and launch_ros: holds for the real packages and for the stand-ins alike."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from launch import LaunchDescription, LaunchService
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

RECORD = """#!{python}
import json, os, pathlib, shutil, sys
folder = pathlib.Path({folder!r})
files = [a for a, before in zip(sys.argv[1:], sys.argv) if before == "--params-file"]
parameters = [pathlib.Path(f).read_text() for f in files]
seen = dict(argv=sys.argv[1:], parameters=parameters, variable=os.environ.get("VOXBOX_TEST"))
(folder / "seen.json").write_text(json.dumps(seen))
"""


def launched(*actions):
    service = LaunchService()
    service.include_launch_description(LaunchDescription(list(actions)))
    return service.run()


def python(code, *arguments, **options):
    return ExecuteProcess(cmd=[sys.executable, "-c", code, *arguments], **options)


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An ament prefix with one package, `probe`, whose executable writes down how it was started."""
    (tmp_path / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (tmp_path / "share/ament_index/resource_index/packages/probe").touch()
    executable = tmp_path / "lib/probe/probe"
    executable.parent.mkdir(parents=True)
    executable.write_text(RECORD.format(python=sys.executable, folder=str(tmp_path)))
    executable.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}:{os.environ.get('AMENT_PREFIX_PATH', '')}")
    return tmp_path


def seen(prefix):
    return json.loads((prefix / "seen.json").read_text())


def test_it_returns_when_its_processes_have_ended(tmp_path):
    assert launched(python(f"open({str(tmp_path / 'a')!r}, 'w').write('ran')")) == 0
    assert (tmp_path / "a").read_text() == "ran"


def test_a_declared_argument_has_its_default(prefix):
    code = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    launched(
        DeclareLaunchArgument("colour", default_value="blue", description="of the sky"),
        python(code, str(prefix / "out"), LaunchConfiguration("colour")),
    )
    assert (prefix / "out").read_text() == "blue"


def test_a_required_argument_that_is_missing_fails_the_launch():
    assert launched(DeclareLaunchArgument("colour")) == 1


def test_a_function_may_return_actions(tmp_path):
    def start(context):
        path = LaunchConfiguration("path").perform(context)
        return [python(f"open({path!r}, 'w').write('from the function')")]

    path = tmp_path / "out"
    launched(DeclareLaunchArgument("path", default_value=str(path)), OpaqueFunction(function=start))
    assert path.read_text() == "from the function"


def test_an_environment_variable_reaches_the_processes(prefix, monkeypatch):
    monkeypatch.delenv("VOXBOX_TEST", raising=False)
    launched(SetEnvironmentVariable("VOXBOX_TEST", "set"), Node(package="probe", executable="probe"))
    assert seen(prefix)["variable"] == "set"


def test_a_node_gets_its_name_and_remappings(prefix):
    launched(
        Node(
            package="probe",
            executable="probe",
            name="eye",
            namespace="car",
            remappings=[("image", "/camera/image_raw")],
            arguments=["-d", "layout"],
        )
    )
    argv = seen(prefix)["argv"]
    assert argv[:2] == ["-d", "layout"]
    assert {"__node:=eye", "__ns:=/car", "image:=/camera/image_raw"} <= set(argv[argv.index("--ros-args") :])


def test_a_node_gets_its_parameters_with_their_types(prefix):
    parameters = {
        "use_sim_time": True,
        "threshold": ParameterValue(LaunchConfiguration("threshold"), value_type=float),
        "model": ParameterValue(LaunchConfiguration("model"), value_type=str),
        "plain": "0.5",
    }
    file = prefix / "given.yaml"
    file.write_text("/**:\n  ros__parameters:\n    from_file: 3\n")
    launched(
        DeclareLaunchArgument("threshold", default_value="1"),
        DeclareLaunchArgument("model", default_value="12"),
        Node(package="probe", executable="probe", name="eye", parameters=[str(file), parameters]),
    )
    read = [yaml.safe_load(text) for text in seen(prefix)["parameters"]]
    assert read[0]["/**"]["ros__parameters"] == {"from_file": 3}
    (values,) = (section["ros__parameters"] for section in read[1].values())
    assert values == {"use_sim_time": True, "threshold": 1.0, "model": "12", "plain": "0.5"}
    assert {k: type(v) for k, v in values.items()}["threshold"] is float


def test_text_is_no_number_unless_it_is_a_substitution(prefix):
    parameters = [{"threshold": ParameterValue(LaunchConfiguration("threshold"), value_type=float)}]
    node = Node(package="probe", executable="probe", parameters=parameters)
    assert launched(DeclareLaunchArgument("threshold", default_value="high"), node) == 1
    with pytest.raises(TypeError):
        ParameterValue("1", value_type=float)


def test_an_executable_that_is_not_there_fails_the_launch(prefix):
    assert launched(Node(package="probe", executable="nothing")) == 1
    assert not (prefix / "seen.json").exists()


LAUNCH_AND_WAIT = """
import pathlib, sys
from launch import LaunchDescription, LaunchService
from launch.actions import ExecuteProcess
service = LaunchService()
service.include_launch_description(LaunchDescription([ExecuteProcess(cmd=[sys.executable, *sys.argv[1:]])]))
sys.exit(service.run())
"""
WAIT_FOR_AN_INTERRUPT = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def end(*_):
    with (folder / "ended").open("a") as file:
        file.write("once ")
    time.sleep(0.3)
    sys.exit(0)
signal.signal(signal.SIGINT, end)
(folder / "ready").touch()
time.sleep(60)
"""


def test_an_interrupt_of_the_terminal_reaches_the_processes_once(tmp_path):
    """As ctrl-c does, the signal goes to the whole process group, and launch does not repeat it."""
    command = [sys.executable, "-c", LAUNCH_AND_WAIT, "-c", WAIT_FOR_AN_INTERRUPT, str(tmp_path)]
    launch = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 20
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(launch.pid, signal.SIGINT)
    launch.wait(timeout=20)
    assert (tmp_path / "ended").read_text() == "once "
