"""Values that are known when the launch runs."""

from typing import Any

from .launch_context import LaunchContext


class LaunchConfiguration:
    """The value of a launch argument."""

    def __init__(self, variable_name: str, *, default: Any = None) -> None:
        self.variable_name, self.default = variable_name, default

    def perform(self, context: LaunchContext) -> str:
        if self.variable_name in context.launch_configurations:
            return context.launch_configurations[self.variable_name]
        if self.default is None:
            raise RuntimeError(f"launch configuration '{self.variable_name}' does not exist")
        return context.perform_substitution(self.default)


class EnvironmentVariable:
    """The value of an environment variable."""

    def __init__(self, name: str, *, default_value: Any = None) -> None:
        self.name, self.default_value = name, default_value

    def perform(self, context: LaunchContext) -> str:
        if self.name in context.environment:
            return context.environment[self.name]
        if self.default_value is None:
            raise RuntimeError(f"environment variable '{self.name}' does not exist")
        return context.perform_substitution(self.default_value)
