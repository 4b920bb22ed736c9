"""The one way voxbox tells a user that something from outside is wrong."""


class InputError(ValueError):
    """Something from outside (a file, a message, a parameter) is not what is needed.

    The message always names the value found, what was expected, and the remedy.
    """

    def __init__(self, what: str, value: object, expected: str, remedy: str) -> None:
        self.what = what
        self.value = value
        self.expected = expected
        self.remedy = remedy
        super().__init__(f"{what} is {value}; expected {expected}. {remedy}")

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, object, str, str]]:
        return InputError, (self.what, self.value, self.expected, self.remedy)
