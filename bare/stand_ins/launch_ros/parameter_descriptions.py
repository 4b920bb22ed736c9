"""A parameter's value and its type."""

from typing import Any

import yaml
from launch import LaunchContext

READERS = {str: str, int: int, float: float}


class ParameterValue:
    """A value; or a substitution, whose text is read as one of the given type, or by the rules of YAML."""

    def __init__(self, value: Any, *, value_type: type | None = None) -> None:
        if value_type not in (None, str, int, float, bool):
            raise TypeError(f"value_type is {value_type}; expected str, int, float or bool")
        if value_type and not hasattr(value, "perform") and not isinstance(value, value_type):
            raise TypeError(f"value={value!r} is not an instance of {value_type}")
        self.value, self.value_type = value, value_type

    def evaluate(self, context: LaunchContext) -> bool | int | float | str:
        if not hasattr(self.value, "perform"):
            return self.value
        text = context.perform_substitution(self.value)
        if self.value_type in READERS:
            return READERS[self.value_type](text)
        value = yaml.safe_load(text)
        if self.value_type is bool and not isinstance(value, bool):
            raise ValueError(f"Cannot convert '{text}' to 'bool'")
        return value
