"""A list of actions."""

from collections.abc import Iterable
from typing import Any

from .launch_context import LaunchContext


class LaunchDescription:
    """Actions, visited in their order."""

    def __init__(self, initial_entities: Iterable[Any] | None = None) -> None:
        self.entities = list(initial_entities or [])

    def add_action(self, action: Any) -> None:
        self.entities.append(action)

    def visit(self, context: LaunchContext) -> None:
        for entity in self.entities:
            entity.visit(context)
