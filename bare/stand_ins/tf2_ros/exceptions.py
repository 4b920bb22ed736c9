"""Why a transform cannot be had."""


class TransformException(Exception):
    """Any of the below."""


class LookupException(TransformException):
    """A frame that nobody has published."""


class ConnectivityException(TransformException):
    """Two frames in different trees."""


class ExtrapolationException(TransformException):
    """A time outside of what was received."""
