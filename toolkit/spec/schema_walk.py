"""Which fields may stand at a location of a spec: from the types of the pydantic models."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from toolkit.spec.written.open_value import Open
from toolkit.spec.written.quotes import Reads


def fields_at(root: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The names of the fields that may stand at a location, as a person writes them."""
    here: Any = root
    for part in location:
        here = _inside(here, part)
    for option in _options(here):
        if isinstance(option, Open):
            return ["from", "to"]
        for model in _models(option)[:1]:
            return [field.alias or name for name, field in model.model_fields.items()]
    return []


def _inside(annotation: Any, part: int | str) -> Any:
    """The type behind a key or an index; None where the type does not determine it."""
    for option in _options(annotation):
        for model in _models(option):
            for name, field in model.model_fields.items():
                if part == (field.alias or name):
                    return (field.annotation, *field.metadata)
        origin, arguments = get_origin(option), get_args(option)
        if origin is list:
            return arguments[0] if isinstance(part, int) else annotation
        if origin is dict:
            return arguments[1]
    return None


def _options(annotation: Any) -> Iterator[Any]:
    """The types and marks that an annotation is made of: unions and Annotated taken apart, marks first."""
    if isinstance(annotation, tuple):
        for part in reversed(annotation):
            yield from _options(part)
    elif get_origin(annotation) is Annotated:
        yield from annotation.__metadata__
        yield from _options(annotation.__origin__)
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _options(part)
    else:
        yield annotation


def _models(option: Any) -> tuple[type[BaseModel], ...]:
    if isinstance(option, Reads):
        return option.models
    return (option,) if isinstance(option, type) and issubclass(option, BaseModel) else ()
