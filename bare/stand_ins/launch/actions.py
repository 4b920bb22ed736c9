"""The actions that voxbox's launch files use."""

import runpy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .launch_context import LaunchContext
from .launch_description import LaunchDescription
from .process import Process, report


class Action:
    """Something a launch does, if its condition holds."""

    def __init__(self, *, condition: Any = None) -> None:
        self.condition = condition

    def visit(self, context: LaunchContext) -> None:
        if self.condition is None or self.condition.evaluate(context):
            self.execute(context)

    def execute(self, context: LaunchContext) -> None:
        raise NotImplementedError


class DeclareLaunchArgument(Action):
    """An argument of the launch file. Without a default it must be given."""

    def __init__(
        self,
        name: str,
        *,
        default_value: Any = None,
        description: str | None = None,
        choices: list[str] | None = None,
        condition: Any = None,
    ) -> None:
        super().__init__(condition=condition)
        self.name, self.default_value, self.choices = name, default_value, choices
        self.description = description or "no description given"

    def execute(self, context: LaunchContext) -> None:
        context.declared[self.name] = self.description
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                raise RuntimeError(f"Required launch argument '{self.name}' was not provided")
            context.launch_configurations[self.name] = context.perform_substitution(self.default_value)
        value = context.launch_configurations[self.name]
        if self.choices and value not in self.choices:
            raise RuntimeError(f"Argument '{self.name}' provided value '{value}' is not valid: {self.choices}")


class SetEnvironmentVariable(Action):
    """A variable for the processes started after this action."""

    def __init__(self, name: Any, value: Any, *, condition: Any = None) -> None:
        super().__init__(condition=condition)
        self.name, self.value = name, value

    def execute(self, context: LaunchContext) -> None:
        name = context.perform_substitution(self.name)
        context.environment[name] = context.perform_substitution(self.value)


class LogInfo(Action):
    """A line on the terminal."""

    def __init__(self, *, msg: Any, condition: Any = None) -> None:
        super().__init__(condition=condition)
        self.msg = msg

    def execute(self, context: LaunchContext) -> None:
        report(context.perform_substitution(self.msg))


class OpaqueFunction(Action):
    """Calls a function with the context, then visits the actions that it returns."""

    def __init__(self, *, function: Callable[[LaunchContext], Iterable[Any] | None], condition: Any = None) -> None:
        super().__init__(condition=condition)
        self.function = function

    def execute(self, context: LaunchContext) -> None:
        LaunchDescription(self.function(context)).visit(context)


class ExecuteProcess(Action):
    """Starts a command."""

    def __init__(
        self, *, cmd: Iterable[Any], name: str | None = None, output: str = "log", condition: Any = None
    ) -> None:
        super().__init__(condition=condition)
        if output not in ("log", "screen", "both"):
            raise ValueError(f"output is {output!r}; expected log, screen or both")
        self.cmd, self.name = list(cmd), name

    def command(self, context: LaunchContext) -> list[str]:
        return [context.perform_substitution(part) for part in self.cmd]

    def execute(self, context: LaunchContext) -> None:
        command = self.command(context)
        name = f"{self.name or Path(command[0]).name}-{len(context.processes) + 1}"
        context.processes.append(Process(name, command, context.environment))


class IncludeLaunchDescription(Action):
    """Another launch file, or a description, with its arguments."""

    def __init__(
        self,
        launch_description_source: Any,
        *,
        launch_arguments: Iterable[tuple[str, Any]] | None = None,
        condition: Any = None,
    ) -> None:
        super().__init__(condition=condition)
        self.source, self.arguments = launch_description_source, list(launch_arguments or ())

    def description(self, context: LaunchContext) -> LaunchDescription:
        if isinstance(self.source, LaunchDescription):
            return self.source
        path = context.perform_substitution(self.source.location)
        return runpy.run_path(path)["generate_launch_description"]()

    def execute(self, context: LaunchContext) -> None:
        for name, value in self.arguments:
            context.launch_configurations[name] = context.perform_substitution(value)
        self.description(context).visit(context)
