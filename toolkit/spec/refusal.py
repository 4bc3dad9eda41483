"""How a reader of one value says no, in the form that pydantic carries to the place of the value."""

from __future__ import annotations

from pydantic_core import PydanticCustomError


def refusal(code: str, message: str, repair: str | None = None) -> PydanticCustomError:
    """An error with a finding's code, message and repair. The message goes after the field's name."""
    return PydanticCustomError(code, "{message}", {"message": message, "repair": repair})
