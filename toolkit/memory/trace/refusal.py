"""What a trace does not cover."""


class UnsupportedTrace(Exception):  # noqa: N818 - a refusal by name, as UnsupportedRow
    """A setting that a trace does not cover; the reason says what is missing."""
