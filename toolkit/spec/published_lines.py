"""Reads one run of published readings from a line of JSON; every mistake is a finding at its column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from toolkit.finding import Finding, Place
from toolkit.frozen import frozen
from toolkit.spec.contradictions import contradictions
from toolkit.spec.fields.registry import FIELDS, GROUPS
from toolkit.spec.fields.value import Field, FieldValue
from toolkit.spec.scenario import Scenario
from toolkit.spec.written.open_value import read_open
from toolkit.spec.written.published import READING_METRICS, SPANS
from toolkit.spec.yaml.known import meant, shown
from toolkit.spec.yaml.node import Entries, Items, Node, Scalar, typed

MAX_LINE = 50_000
MAX_READINGS = 64
_RUN_KEYS = ("run", "configuration", "grade", "path", "commit", "scenario", "beyond", "apart", "readings")
_READING_KEYS = ("id", "metric", "bytes", "printed", "over", "apart")
_TEXTS = ("run", "configuration", "grade", "path", "commit", "apart")


@frozen
class Reading:
    """One published figure. `bytes` are the values that it may mean: two where GB or GiB is not decided.

    `apart` is the reason why it is not what it seems; such a reading is listed, but not scored.
    """

    id: str
    metric: str
    bytes: tuple[int, ...]
    printed: str | None = None
    over: str = "one"
    apart: str | None = None


@frozen
class PublishedRun:
    """One run that somebody measured. `configuration` is the same for repeats under other software.

    `beyond` holds facts from the source that no field of a scenario can express: such a run is not estimated.
    """

    run: str
    configuration: str
    scenario: Scenario
    readings: tuple[Reading, ...]
    path: str
    commit: str | None = None
    grade: str | None = None
    beyond: Mapping[str, str] = field(default_factory=dict)


class _RefusedLine(Exception):  # noqa: N818 - ends the reading of a line, and carries its finding
    def __init__(self, key: str, code: str, message: str, repair: str | None = None, column: int = 1) -> None:
        super().__init__(message)
        self.key, self.code, self.message, self.repair, self.column = key, code, message, repair, column

    def place(self, path: str, line: str, number: int) -> Place:
        """The place of the key in the line, or the known column."""
        found = line.find(f'"{self.key}"') if self.key else -1
        return Place(path, number, self.column if found < 0 else found + 1)


@dataclass(slots=True)
class LineReader:
    """Reads the lines of one file; ids of readings and names of runs must differ."""

    path: str
    findings: list[Finding] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _values: dict[tuple[str, type, object], FieldValue] = field(default_factory=dict)

    def run(self, line: str, number: int) -> PublishedRun | None:
        """The run of a line; None where a finding says what is wrong with it."""
        try:
            return self._run(_object(line), number)
        except _RefusedLine as refused:
            place = refused.place(self.path, line, number)
            self.findings.append(Finding(place, refused.code, refused.message, refused.repair))
        return None

    def _run(self, said: dict[str, Any], number: int) -> PublishedRun:
        _known(said, _RUN_KEYS)
        texts = {key: _text(said, key) for key in _TEXTS if key in said}
        for key in ("run", "path"):
            if key not in texts:
                raise _RefusedLine("run", "S105", f"a run needs {key}", f"add {key}")
        self._new(texts["run"], "run")
        beyond = said.get("beyond", {})
        if not isinstance(beyond, dict) or not all(isinstance(text, str) for text in beyond.values()):
            raise _RefusedLine("beyond", "S104", "beyond: what no field can say is a mapping of texts")
        return PublishedRun(
            run=texts["run"],
            configuration=texts.get("configuration", texts["run"]),
            scenario=self._scenario(said.get("scenario"), number, complete=not beyond),
            readings=self._readings(said.get("readings"), texts.get("apart")),
            path=texts["path"],
            commit=texts.get("commit"),
            grade=texts.get("grade"),
            beyond=beyond,
        )

    def _scenario(self, said: Any, number: int, *, complete: bool) -> Scenario:
        if not isinstance(said, dict):
            raise _RefusedLine("scenario", "S105", "a run needs a scenario, a mapping of fields")
        place = Place(self.path, number)
        flat: dict[str, Any] = {}
        for name, value in said.items():
            if name in GROUPS and isinstance(value, dict):
                flat.update({f"{name}.{inner}": one for inner, one in value.items()})
            else:
                flat[name] = value
        scenario = Scenario("scenario", place, {name: Field(self._value(name, flat[name]), place) for name in flat})
        for name in ("model", "method"):
            if complete and name not in flat:
                raise _RefusedLine("scenario", "S105", f"scenario: needs {name}", f"add {name}")
        for clash in contradictions(scenario) if complete else ():
            raise _RefusedLine("scenario", clash.code, clash.message, clash.repair)
        return scenario

    def _value(self, name: str, value: Any) -> FieldValue:
        """The value of a field, read as in a scenario of a spec; equal values are read once."""
        key = (name, type(value), json.dumps(value, sort_keys=True) if isinstance(value, (list, dict)) else value)
        if key not in self._values:
            if name not in FIELDS:
                guess = meant(name, FIELDS)
                inner = name.rpartition(".")[2]
                message = f"{shown(name)} is no field of a scenario"
                raise _RefusedLine(inner, "S103", message, f"write {guess}" if guess else None)
            try:
                self._values[key] = read_open(FIELDS[name].kind, node_of(value))
            except PydanticCustomError as error:
                raise _refused(name, error) from error
            except ValidationError as error:
                said = error.errors(include_url=False)[0]["msg"]
                raise _RefusedLine(name.rpartition(".")[2], "S104", f"{name}: {said}") from error
        return self._values[key]

    def _readings(self, said: Any, apart: str | None) -> tuple[Reading, ...]:
        if not isinstance(said, list) or not 0 < len(said) <= MAX_READINGS:
            raise _RefusedLine("readings", "S104", f"readings: a run has a list of 1 to {MAX_READINGS} readings")
        return tuple(self._reading(one, apart) for one in said)

    def _reading(self, said: Any, apart: str | None) -> Reading:
        if not isinstance(said, dict):
            raise _RefusedLine("readings", "S104", "a reading is a mapping")
        _known(said, _READING_KEYS)
        identity, metric = _text(said, "id"), _text(said, "metric")
        self._new(identity, "reading")
        over = said.get("over", "one")
        for key, value, names in (("metric", metric, READING_METRICS), ("over", over, SPANS)):
            if value not in names:
                raise _RefusedLine(key, "S107", f"{key}: {shown(str(value))} is not known; known: {', '.join(names)}")
        return Reading(
            id=identity,
            metric=metric,
            bytes=_amounts(said.get("bytes")),
            printed=_text(said, "printed") if "printed" in said else None,
            over=over,
            apart=_text(said, "apart") if "apart" in said else apart,
        )

    def _new(self, name: str, what: str) -> None:
        if f"{what} {name}" in self._seen:
            raise _RefusedLine(name, "S102", f"the {what} {shown(name)} stands there twice")
        self._seen.add(f"{what} {name}")


def _object(line: str) -> dict[str, Any]:
    if len(line) > MAX_LINE:
        raise _RefusedLine("", "S112", f"a line of more than {MAX_LINE:,} characters")
    try:
        read = json.loads(line, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _RefusedLine("", "S101", f"no JSON: {error.msg}", column=error.colno) from error
    except (RecursionError, ValueError) as error:
        raise _RefusedLine("", "S112", "nested too deeply, or a number of too many digits") from error
    if not isinstance(read, dict):
        raise _RefusedLine("", "S104", "a line is a JSON object of one run")
    return read


def node_of(value: object) -> Node:
    """A value of JSON as a YAML tree: text in quotes, numbers and truth values without."""
    if isinstance(value, dict):
        entries = Entries()
        entries.line = entries.column = 1
        for key, inner in value.items():
            entries[key] = node_of(inner)
            entries.keys_at[key] = typed(key)
        return entries
    if isinstance(value, list):
        items = Items(node_of(inner) for inner in value)
        items.line = items.column = 1
        return items
    scalar: Scalar = typed(value if isinstance(value, str) else json.dumps(value))
    scalar.plain = not isinstance(value, str)
    return scalar


def _refused(name: str, error: PydanticCustomError) -> _RefusedLine:
    context = error.context or {}
    return _RefusedLine(name.rpartition(".")[2], error.type, f"{name}: {context['message']}", context.get("repair"))


def _known(said: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in said:
        if key not in keys:
            guess = meant(key, keys)
            raise _RefusedLine(key, "S103", f"{shown(key)} may not stand here", f"write {guess}" if guess else None)


def _text(said: Mapping[str, Any], key: str) -> str:
    text = said.get(key)
    if not isinstance(text, str) or not text:
        raise _RefusedLine(key, "S104" if key in said else "S105", f"{key}: a text is asked for")
    return text


def _amounts(said: Any) -> tuple[int, ...]:
    """The bytes of a reading: a whole number, or a list of those that it may mean; negative ones are allowed."""
    amounts = said if isinstance(said, list) else [said]
    if not amounts or not all(type(amount) is int for amount in amounts):
        raise _RefusedLine("bytes", "S104", "bytes: a whole number of bytes is asked for, or a list of them")
    return tuple(amounts)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
        raise _RefusedLine(twice, "S102", f"{shown(twice)} is written twice")
    return found


def _no_constant(text: str) -> NoReturn:
    raise _RefusedLine("", "S101", f"{text} is not JSON")
