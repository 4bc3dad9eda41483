"""Writes a draft as YAML, as a person would, with open questions as comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Final

from toolkit.documents.draft.drafted import Draft, DraftedClaim, DraftedScenario, Loose
from toolkit.documents.draft.sources import under_of
from toolkit.finding import printable
from toolkit.spec.quote import Cell, Quote, Source

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./+-]*")
_SPOKEN: Final = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n", "nan", "inf"})
_WIDE: Final = 120
_SHOWN: Final = 80
_MOST_LOOSE: Final = 400

_ASKS: Final[Mapping[str, str]] = {
    "weights": "in which form are the weights held?",
    "batch_size": "how many sequences at once?",
    "sequence_length": "how many tokens?",
    "generated_length": "how many tokens are generated?",
    "gradient_checkpointing": "are activations computed again?",
    "optimizer": "which optimizer?",
    "lora.rank": "which rank?",
    "lora.targets": "which modules are adapted?",
    "stack.trainer": "which software?",
}


def write(draft: Draft, document: str, *, slug: str | None = None, schema: str | None = None) -> str:
    """The text of a spec whose document lies at a path from it; nothing of a stranger's text can leave its quotes."""
    lines = [f"# yaml-language-server: $schema={schema}"] if schema else []
    lines += _opening(draft)
    lines.append(f"document: {_scalar(document)}")
    lines += [f"slug: {_scalar(slug)}"] if slug else []
    lines += [f"title: {_scalar(draft.title)}"] if draft.title else []
    if draft.units is not None:
        reading, source = draft.units
        lines.append(f"units: {_flow({'GB': reading, **_source_keys(source, None)})}")
    lines += _values(draft.values)
    if draft.scenarios:
        lines += ["", "scenarios:", *(line for one in draft.scenarios.values() for line in _scenario(one))]
    lines += ["", "claims:", *_claims(draft.claims)]
    lines += _loose(draft.loose)
    return "\n".join(lines) + "\n"


def _opening(draft: Draft) -> list[str]:
    waiting = sum(claim.question is not None for claim in draft.claims)
    lines = ["# Drafted from the document: only what it states is said here. Lines are those of the day of drafting."]
    if waiting:
        lines += [
            f"# {waiting} of {len(draft.claims)} claims wait for an answer: each has its question as `unchecked`.",
            "# Name its scenario and take `unchecked` out, or say there why nothing can check it.",
        ]
    return lines


def _values(values: Mapping[str, Source]) -> Iterator[str]:
    if values:
        yield ""
        yield "values:"
    for name, source in values.items():
        yield f"  {name}: {_flow(_source_keys(source, None))}"


def _scenario(scenario: DraftedScenario) -> Iterator[str]:
    yield f"  {_key(scenario.name)}:"
    for name, one in scenario.fields.items():
        remark = f"  # line {one.line}" if one.line is not None else f"  # {one.why}" if one.why else ""
        yield f"    {name}: {_scalar(one.value)}{remark}"
    for name, taken in scenario.open.items():
        if name in _ASKS:
            yield f"    # {name}: {_ASKS[name]} not said; taken: {_comment(taken)}"
    if others := [name for name in scenario.open if name not in _ASKS]:
        yield f"    # not said either: {', '.join(others)}"


def _claims(claims: Iterable[DraftedClaim]) -> Iterator[str]:
    for under, group in groupby(claims, key=lambda claim: under_of(claim.source)):
        together = list(group)
        scenarios = {claim.scenario for claim in together}
        shared = next(iter(scenarios)) if len(scenarios) == 1 and len(together) > 1 else None
        if under is None:
            for claim in together:
                yield from _claim(claim, None, None, "  ")
            continue
        yield f"  - under: {_scalar(under)}"
        if shared is not None:
            yield f"    scenario: {_key(shared)}"
        yield "    claims:"
        for claim in together:
            yield from _claim(claim, under, shared, "      ")


def _claim(claim: DraftedClaim, under: str | None, shared: str | None, indent: str) -> Iterator[str]:
    keys = {"quantity": claim.quantity}
    if claim.scenario is not None and claim.scenario != shared:
        keys["scenario"] = _key(claim.scenario)
    keys |= _source_keys(claim.source, under)
    if claim.start is not None and claim.end is not None:
        keys |= {"from": claim.start, "to": claim.end}
    if claim.overrides:
        keys["with"] = _flow(dict(_override(name, value) for name, value in claim.overrides.items()))
    if claim.subject:
        keys["subject"] = _flow({name: _scalar(value) for name, value in claim.subject.items()})
    if claim.question is not None:
        keys["unchecked"] = _scalar(claim.question)
    remark = f"  # line {claim.line}{': is it about this scenario?' if claim.scenario and claim.question else ''}"
    line = f"{indent}- {_flow(keys)}"
    if len(line) + len(remark) <= _WIDE:
        yield line + remark
        return
    first, *others = keys.items()
    yield f"{indent}- {first[0]}: {first[1]}{remark}"
    for name, text in others:
        yield f"{indent}  {name}: {text}"


def _override(name: str, value: str) -> tuple[str, str]:
    group, _, inner = name.partition(".")
    return (group, _flow({inner: _scalar(value)})) if inner else (name, _scalar(value))


def _source_keys(source: Source, under: str | None) -> dict[str, str]:
    """The keys that point at a place, without the heading where the group says it."""
    if isinstance(source, Quote):
        keys = {} if source.under in {None, under} else {"under": _scalar(source.under or "")}
        keys["quote"] = _scalar(source.text)
        return keys if source.occurrence is None else {**keys, "occurrence": str(source.occurrence)}
    return {"cell": _cell(source, under)}


def _cell(cell: Cell, under: str | None) -> str:
    table = {} if cell.table.under in {None, under} else {"under": _scalar(cell.table.under or "")}
    if cell.table.occurrence is not None:
        table["occurrence"] = str(cell.table.occurrence)
    keys = {"table": _flow(table), "row": _scalar(cell.row), "column": _scalar(cell.column)}
    if cell.pattern is not None:
        keys["quote"] = _scalar(cell.pattern.text)
    return _flow(keys)


def _loose(loose: tuple[Loose, ...]) -> Iterator[str]:
    if not loose:
        return
    yield ""
    yield "# Figures that no claim holds: whatever they say, nothing watches them."
    for one in loose[:_MOST_LOOSE]:
        yield f"# line {one.line}: {_comment(one.text)} ({_comment(one.why)})"
    if len(loose) > _MOST_LOOSE:
        yield f"# and {len(loose) - _MOST_LOOSE:,} more"


def _flow(keys: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{name}: {text}' for name, text in keys.items())}}}"


def _scalar(text: str) -> str:
    """A text as YAML: plain where it can be nothing else, else in double quotes, with every unprintable escaped."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _SPOKEN:
        return text
    if text.isascii() and text.isdigit() and not text.startswith("0"):
        return text
    return "".join(_escaped(character) for character in json.dumps(text, ensure_ascii=False))


def _key(name: str) -> str:
    """A name of a scenario, which may look like a number."""
    return _scalar(name)


def _escaped(character: str) -> str:
    if printable(character) == character and character not in "\x85\u2028\u2029\ufffe\uffff":
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _comment(text: str) -> str:
    """A text that stays on its line, whatever it holds."""
    line = " ".join(printable(" ".join(text.split())).split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
