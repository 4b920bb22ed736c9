"""What the actions of one launch share."""

import os
from typing import Any


class LaunchContext:
    """Launch configurations, the environment of processes to come, and the processes started so far."""

    def __init__(self, *, argv: list[str] | None = None) -> None:
        self.argv = argv or []
        self.launch_configurations: dict[str, str] = {}
        self.environment = dict(os.environ)
        self.declared: dict[str, str] = {}
        self.processes: list[Any] = []  # launch.process.Process

    def perform_substitution(self, substitution: Any) -> str:
        """The text of a substitution, of plain text, or of a sequence of both joined."""
        if isinstance(substitution, list | tuple):
            return "".join(self.perform_substitution(part) for part in substitution)
        if isinstance(substitution, str | os.PathLike):
            return os.fspath(substitution)
        return substitution.perform(self)
