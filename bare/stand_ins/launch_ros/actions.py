"""Nodes as processes."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import get_package_prefix
from launch import LaunchContext
from launch.actions import ExecuteProcess

from .parameter_descriptions import ParameterValue


class Node(ExecuteProcess):
    """One executable of a package, with its name, parameters and remappings."""

    def __init__(
        self,
        *,
        package: Any,
        executable: Any,
        name: Any = None,
        namespace: Any = None,
        parameters: Iterable[Any] | None = None,
        remappings: Iterable[tuple[Any, Any]] | None = None,
        arguments: Iterable[Any] | None = None,
        output: str = "log",
        condition: Any = None,
    ) -> None:
        super().__init__(cmd=[], output=output, condition=condition)
        self.package, self.executable, self.node_name, self.namespace = package, executable, name, namespace
        self.parameters, self.remappings = list(parameters or ()), list(remappings or ())
        self.arguments = list(arguments or ())

    def command(self, context: LaunchContext) -> list[str]:
        perform = context.perform_substitution
        command = [executable_path(perform(self.package), perform(self.executable))]
        command += [perform(argument) for argument in self.arguments]
        command.append("--ros-args")
        if self.node_name:
            command += ["-r", f"__node:={perform(self.node_name)}"]
        if self.namespace and (namespace := perform(self.namespace)):
            command += ["-r", f"__ns:=/{namespace.strip('/')}"]
        for parameter in self.parameters:
            command += ["--params-file", parameter_file(parameter, context)]
        for source, target in self.remappings:
            command += ["-r", f"{perform(source)}:={perform(target)}"]
        return command


def executable_path(package: str, executable: str) -> str:
    """Where the ament index has an executable. Raises RuntimeError as launch_ros does."""
    path = Path(get_package_prefix(package), "lib", package, executable)
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"executable '{executable}' not found on the libexec directory '{path.parent}'")
    return str(path)


def parameter_file(parameter: Any, context: LaunchContext) -> str:
    """The file of a parameter entry: its own path, or a new file of the values of a dictionary."""
    if not isinstance(parameter, Mapping):
        path = context.perform_substitution(parameter)
        if not Path(path).is_file():
            raise RuntimeError(f"Parameter file path is not a file: {path}")
        return path
    values = {name: evaluated(value, context) for name, value in parameter.items()}
    with tempfile.NamedTemporaryFile("w", prefix="launch_params_", suffix=".yaml", delete=False) as file:
        yaml.safe_dump({"/**": {"ros__parameters": values}}, file)
    return file.name


def evaluated(value: Any, context: LaunchContext) -> Any:
    """A parameter's value; text stays text, and what a substitution gives is read by the rules of YAML."""
    return (value if isinstance(value, ParameterValue) else ParameterValue(value)).evaluate(context)
