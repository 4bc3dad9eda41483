"""Frozen dataclasses with slots that take a fifth of the time to define, and half to make.

The standard library compiles up to seven functions for each, at every start. Here none is: all are shared.
`fields`, `replace`, `asdict`, `copy` and `pickle` work as with any dataclass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from functools import cache
from operator import attrgetter
from types import CodeType, FunctionType
from typing import Any, NoReturn, TypeVar, dataclass_transform

Made = TypeVar("Made")
Values = Callable[[object], tuple[object, ...]]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(plain: type[Made]) -> type[Made]:
    """Makes a class a dataclass whose objects stay as they are made, and are equal where all their fields are."""
    made = _dataclass(plain)
    described = _fields(made)
    compared = _values(one.name for one in described if one.compare)
    hashed = _values(one.name for one in described if (one.compare if one.hash is None else one.hash))

    def equal(self: object, other: object) -> bool:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    return _with(made, __eq__=equal, __hash__=lambda self: hash(hashed(self)))


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def frozen_by_identity(plain: type[Made]) -> type[Made]:
    """Makes a class a dataclass whose objects stay as they are made, each equal to itself alone."""
    return _dataclass(plain)


def _dataclass(plain: type[Made]) -> type[Made]:
    """The class with slots, and with what sets them once."""
    if plain.__doc__ is None:
        plain.__doc__ = plain.__name__  # or one would be made of the signature, slowly
    made: type[Made] = dataclass(init=False, repr=False, eq=False, slots=True)(plain)
    described = _fields(made)
    setters = {one.name: getattr(made, one.name).__set__ for one in described}
    values = _values(setters)

    def state(self: object) -> tuple[object, ...]:
        return values(self)

    def restore(self: object, state: Iterable[object]) -> None:
        for setter, value in zip(setters.values(), state, strict=True):
            setter(self, value)

    return _with(
        made,
        __init__=_initializer(described, setters, more=hasattr(made, "__post_init__")),
        __repr__=_shown,
        __setattr__=_refuse,
        __delattr__=_refuse,
        __getstate__=state,
        __setstate__=restore,
    )


def _fields(made: Any) -> tuple[Field[Any], ...]:
    """The fields of a dataclass, whatever the type checker takes it for."""
    return fields(made)


def _with(made: type[Made], **methods: object) -> type[Made]:
    """The class with these methods, but for those that it defines itself."""
    for name, method in methods.items():
        if made.__dict__.get(name) is None:  # a class that defines how it is equal has None for its hash
            setattr(made, name, method)
    return made


def _initializer(described: Iterable[Field[Any]], setters: Mapping[str, Any], *, more: bool) -> FunctionType:
    """`__init__`, which takes its arguments by name as quickly as any function."""
    taken = [one for one in described if one.init]
    required = [one for one in taken if one.default is MISSING and one.default_factory is MISSING]
    if taken[: len(required)] != required:
        raise TypeError("a field without a default follows one that has a default")
    known: dict[str, object] = {"MISSING": MISSING}
    for place, one in enumerate(taken):
        known[f"set_{place}"], known[f"make_{place}"] = setters[one.name], one.default_factory
    code = _code(tuple(one.default_factory is not MISSING for one in taken), more=more)
    named = code.replace(co_varnames=("self", *(one.name for one in taken)))
    return FunctionType(named, known, "__init__", tuple(one.default for one in taken[len(required) :]))


@cache
def _code(makes: tuple[bool, ...], *, more: bool) -> CodeType:
    """The code that sets one field after the other, whatever they are called; `makes` says which have a factory.

    Classes with as many fields share it: to compile it is what takes longest about a class.
    """
    arguments, lines = ["self"], []
    for place, made in enumerate(makes):
        name = f"field_{place}"
        value = f"make_{place}() if {name} is MISSING else {name}" if made else name
        arguments.append(name)
        lines.append(f"    set_{place}(self, {value})")
    lines += ["    self.__post_init__()"] if more else []
    made_of: dict[str, FunctionType] = {}
    exec(f"def __init__({', '.join(arguments)}):\n" + "\n".join(lines or ["    pass"]), made_of)  # noqa: S102 - own names
    return made_of["__init__"].__code__


def _values(names: Iterable[str]) -> Values:
    """What reads these attributes of an object, as a tuple."""
    names = tuple(names)
    if len(names) > 1:
        return attrgetter(*names)
    return (lambda self: (getattr(self, names[0]),)) if names else lambda _: ()


def _shown(self: Any) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{self.__class__.__qualname__}({shown})"


def _refuse(_self: object, name: str, _value: object = None) -> NoReturn:
    raise FrozenInstanceError(f"{name!r} stays as it is")
