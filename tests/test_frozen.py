"""Frozen classes against the standard library's frozen dataclasses, which they stand in for."""

import copy
import io
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from inspect import signature
from multiprocessing.reduction import ForkingPickler

import pytest

from toolkit.frozen import frozen, frozen_by_identity


@frozen
class Point:
    """A point."""

    x: int
    y: int = 0
    seen: list[str] = field(default_factory=list)
    note: str = field(default="", compare=False)
    weight: int = field(default=1, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class Standard:
    x: int
    y: int = 0
    seen: list[str] = field(default_factory=list)
    note: str = field(default="", compare=False)
    weight: int = field(default=1, hash=False, repr=False)


@frozen
class Worked:
    side: int
    area: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "area", self.side**2)


@frozen
class Nothing:
    pass


@frozen
class Folded:
    """Equal whatever its case."""

    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Folded) and self.text.lower() == other.text.lower()

    def __hash__(self) -> int:
        return hash(self.text.lower())

    def __repr__(self) -> str:
        return self.text


@frozen
class Nested:
    """Others of its kind, within one field and within many."""

    within: Folded | tuple[object, ...]
    point: Point | None = None


@frozen_by_identity
class Alone:
    """An object."""

    rows: Mapping[str, int]


@pytest.mark.parametrize("arguments", [(1,), (1, 2), (1, 2, ["a"]), (1, 2, ["a"], "note"), (1, 2, ["a"], "note", 3)])
def test_objects_are_as_the_standard_library_makes_them(arguments: tuple[int]) -> None:
    made, standard = Point(*arguments), Standard(*arguments)
    assert asdict(made) == asdict(standard)  # type: ignore[call-overload]
    assert repr(made) == repr(standard).replace("Standard", "Point")
    assert [one.name for one in fields(made)] == [one.name for one in fields(standard)]
    assert Point.__match_args__ == Standard.__match_args__


def test_arguments_are_taken_as_any_function_takes_them() -> None:
    assert Point(y=2, x=1) == Point(1, 2)
    assert Point(1).seen is not Point(1).seen
    for arguments in ({}, {"x": 1, "z": 2}):
        with pytest.raises(TypeError):
            Point(**arguments)  # type: ignore[arg-type]


def test_equality_looks_at_what_is_compared() -> None:
    assert Point(1, note="a") == Point(1, note="b")
    assert Point(1) != Point(2)
    assert Point(1, weight=1) != Point(1, weight=2)
    assert Point(1) != Standard(1)
    assert Nothing() == Nothing()
    assert Alone({}) != Alone({})


def test_hashes_follow_equality_less_what_is_left_out() -> None:
    assert hash(Worked(3)) == hash(Worked(3))
    assert len({Worked(3), Worked(3), Worked(4), Nothing(), Nothing()}) == 3
    with pytest.raises(TypeError):
        hash(Point(1))  # a list is in it, as in the standard library's
    assert isinstance(hash(Alone({})), int)


def test_what_a_class_defines_itself_stays() -> None:
    assert Folded("A") == Folded("a")
    assert len({Folded("A"), Folded("a")}) == 1
    assert repr(Folded("A")) == "A"


@pytest.mark.parametrize("made", [Point(1), Worked(2), Nothing(), Alone({})])
def test_objects_stay_as_they_are(made: object) -> None:
    for name in ("x", "side", "new"):
        with pytest.raises(FrozenInstanceError):
            setattr(made, name, 5)
        with pytest.raises(FrozenInstanceError):
            delattr(made, name)
    assert not hasattr(made, "__dict__")


NESTED = (
    Nested(Folded("A"), Point(1, 2, ["a"], "note", 3)),
    Nested((Nested(Folded("B")), Worked(2), Nothing(), (Point(3),))),
)


@pytest.mark.parametrize("made", [Point(1, 2, ["a"], "note", 3), Worked(2), Nothing(), Folded("A"), *NESTED])
def test_copies_equal_what_they_are_made_from(made: object) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(made, protocol)) == made
    assert copy.copy(made) == made
    assert repr(copy.deepcopy(made)) == repr(made)


@pytest.mark.parametrize("made", [Point(1, 2, ["a"], "note", 3), Worked(2), Nothing(), Folded("A"), *NESTED])
def test_objects_are_handed_to_processes_that_are_spawned(made: object) -> None:
    """Multiprocessing asks each object for its state by a pickler of its own, written in Python."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(ForkingPickler.dumps(made, protocol)) == made
        stream = io.BytesIO()
        pickle._Pickler(stream, protocol).dump(made)  # type: ignore[attr-defined]
        assert pickle._loads(stream.getvalue()) == made  # type: ignore[attr-defined]
    assert isinstance(made.__getstate__(), tuple)  # type: ignore[attr-defined]


def test_what_has_no_default_comes_first() -> None:
    with pytest.raises(TypeError, match="follows"):

        @frozen
        class Wrong:
            first: int = 0
            second: str  # type: ignore[misc]


def test_classes_with_as_many_fields_keep_their_own_names_and_defaults() -> None:
    @frozen
    class One:
        a: int
        b: list[int] = field(default_factory=lambda: [1])

    @frozen
    class Other:
        c: int
        d: list[int] = field(default_factory=lambda: [2])

    assert One(0) == One(a=0, b=[1])
    assert Other(0) == Other(c=0, d=[2])
    assert [list(signature(made).parameters) for made in (One, Other)] == [["a", "b"], ["c", "d"]]
    with pytest.raises(TypeError, match="'c'"):
        Other()  # type: ignore[call-arg]


def test_replacing_works_out_anew() -> None:
    assert replace(Worked(2), side=3).area == 9  # type: ignore[type-var]
    assert pickle.loads(pickle.dumps(Worked(3))).area == 9
