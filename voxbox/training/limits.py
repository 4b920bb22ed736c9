"""Which values of a recipe can be: said where each is declared (`options.option`), judged here."""

from dataclasses import dataclass, fields
from typing import Any

from voxbox_core.errors import InputError

_REMEDY = "Correct the recipe."


@dataclass(frozen=True)
class Limits:
    """above, below: not reached.  least, most: reached.  among: the only values, where there are any.

    None is no limit. Of a tuple each value is meant."""

    above: float | None = None
    least: float | None = None
    most: float | None = None
    below: float | None = None
    among: tuple[str, ...] = ()

    def hold(self, value: Any) -> bool:
        """Whether a value is within; NaN is beyond every limit, and so is what is no number."""
        if isinstance(value, tuple):
            return all(self.hold(each) for each in value)
        if self.among:
            return value in self.among
        if not isinstance(value, int | float):
            return not str(self)
        return (
            (self.above is None or value > self.above)
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        if self.among:
            return f"one of {', '.join(self.among)}"
        said = {"above": self.above, "at least": self.least, "at most": self.most, "below": self.below}
        return " and ".join(f"{words} {limit:g}" for words, limit in said.items() if limit is not None)


def settle(recipe: Any) -> None:
    """Make tuples of the lists that JSON has for them. Raises InputError for a field beyond its limits, or no data."""
    for f in fields(recipe):
        if isinstance(f.default, tuple):
            object.__setattr__(recipe, f.name, tuple(getattr(recipe, f.name)))
        limits = f.metadata["limits"]
        require(recipe, limits.hold(getattr(recipe, f.name)), f.name, str(limits))
    require(recipe, bool(recipe.data), "data", "at least one folder", "Give --data DIR.")


def require(recipe: Any, holds: bool, name: str, expected: str, remedy: str = _REMEDY) -> None:
    """Raises InputError, of the recipe's value of that name, unless it holds."""
    if not holds:
        raise InputError(f"recipe value {name}", getattr(recipe, name), expected, remedy)
