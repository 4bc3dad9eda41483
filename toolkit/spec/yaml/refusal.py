"""The error by which a reader refuses a value, in the form that pydantic reports at the place of the value."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import PydanticCustomError


def refusal(code: str, message: str, repair: str | None = None) -> PydanticCustomError:
    """An error with a finding's code, message and repair. The message goes after the field's name."""
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - who judges a spec that is loaded needs none of it

    return PydanticCustomError(code, "{message}", {"message": message, "repair": repair})
