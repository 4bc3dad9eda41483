"""An estimate as text and as JSON: the ledger by phase, the peak, the parameters, the cards that it fits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby

from toolkit.checks.answer import Answer, Bytes, Fit
from toolkit.memory.ledger import Phase
from toolkit.memory.rows import ROWS
from toolkit.quantity import Dimension, Interval, display_count, display_interval
from toolkit.report.json import as_json
from toolkit.report.terminal import INDENT, Paint, line, table
from toolkit.spec.field_value import Range

SMALLEST_SHOWN = 12
GIB = 2**30


def estimate_json(answer: Answer) -> str:
    """The answer for programs. Phases are those at `setting`, where what is open makes the peak largest."""
    return as_json(
        {
            "scenario": _grouped({name: said.value for name, said in answer.scenario.fields.items()}),
            "profile": answer.profile,
            "open": {name: _plain(options) for name, options in answer.open.items()},
            "setting": {name: _plain(value) for name, value in answer.largest_choice.items()},
            "phases": [_phase(phase) for phase in answer.largest.ledger.phases],
            "peak": {
                "phase": answer.largest.ledger.peak.name.value,
                "allocated": _one_or_two(answer.allocated),
                "reserved": list(answer.reserved),
                "device": list(answer.device),
                "error": float(answer.error),
            },
            "parameters": {
                "total": _one_or_two(answer.parameters),
                "trainable": _one_or_two(answer.trainable),
            },
            "fits": [{"gpu": fit.gpu, "verdict": fit.verdict, "usable": list(fit.usable)} for fit in answer.fits()],
            "notes": list(answer.largest.notes),
        }
    )


def _grouped(fields: Mapping[str, object]) -> dict[str, object]:
    """Fields as a scenario's file has them: "lora.rank" inside of "lora"."""
    written: dict[str, object] = {}
    for name, value in fields.items():
        group, _, inner = name.rpartition(".")
        holder = written.setdefault(group, {}) if group else written
        assert isinstance(holder, dict)
        holder[inner] = _plain(value)
    if isinstance(model := written.get("model"), str):
        written["model"] = _model(model)
    return written


def _model(name: str) -> object:
    """A model's name, or its config where that is written out."""
    return json.loads(name) if name.startswith("{") else name


def _phase(phase: Phase) -> dict[str, object]:
    rows = [{"row": row.name, "bytes": row.bytes, "formula": row.formula} for row in phase.rows]
    return {"phase": phase.name.value, "rows": rows, "total": phase.total}


def _one_or_two(ends: Bytes) -> int | list[int]:
    return ends[0] if ends[0] == ends[1] else list(ends)


def _plain(value: object) -> object:
    """A field's value as JSON has it."""
    if isinstance(value, Range):
        return {"from": value.low, "to": value.high}
    for inner in ("value", "values"):
        if hasattr(value, inner):
            return _plain(getattr(value, inner))
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def estimate_text(answer: Answer, paint: Paint | None = None) -> str:
    """The answer for people."""
    colours = paint or Paint()
    lines = [colours.bold(line(_title(answer)))]
    lines += [f"{INDENT}{line(text)}" for text in _open(answer)]
    lines += ["", *_ledger(answer, colours), "", *_peak(answer, colours), "", *_fits(answer, colours)]
    lines += [line(f"note: {note}") for note in answer.largest.notes]
    return "\n".join(lines) + "\n"


def _title(answer: Answer) -> str:
    scenario = answer.scenario
    said = {name: _shown(field.value) for name, field in scenario.fields.items() if name not in ("model", "method")}
    rest = "".join(f", {name} {value}" for name, value in said.items())
    model = "a config written out" if scenario.model.startswith("{") else scenario.model
    return f"{model}, {scenario.method}{rest}"


def _open(answer: Answer) -> Iterator[str]:
    if not answer.open:
        return
    yield f"open, assumed by profile {answer.profile} where the scenario says nothing:"
    for name, options in answer.open.items():
        yield f"  {name}: {_shown(options)}"
    chosen = ", ".join(f"{name} {_shown(value)}" for name, value in answer.largest_choice.items())
    yield f"the ledger is the one with the largest peak: {chosen}"


def _shown(value: object) -> str:
    plain = _plain(value)
    if isinstance(plain, Mapping):
        return f"{plain['from']}..{plain['to']}"
    if isinstance(plain, list):
        return ", ".join(map(_shown, plain)) if plain else "none"
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    return "null" if plain is None else str(plain)


def _ledger(answer: Answer, paint: Paint) -> list[str]:
    """One column for each phase, one line for each row that any phase has; in GiB."""
    phases = answer.largest.ledger.phases
    alive = {row.name for phase in phases for row in phase.rows}
    names = [rule.name for rule in ROWS if rule.name in alive]
    cells = [{row.name: row.bytes for row in phase.rows} for phase in phases]
    rows = [("GiB", *(phase.name.value for phase in phases))]
    rows += [(name, *(_gib(column.get(name)) for column in cells)) for name in names]
    rows.append(("total", *(_gib(phase.total) for phase in phases)))
    lines = table(rows, frozenset(range(1, len(phases) + 1)))
    return [paint.bold(lines[0]), *lines[1:-1], paint.bold(lines[-1])]


def _gib(amount: int | None) -> str:
    if amount is None:
        return "·"
    return f"{amount / GIB:,.3f}" if amount * 2000 >= GIB else "<0.001"


def _peak(answer: Answer, paint: Paint) -> list[str]:
    peak = answer.largest.ledger.peak.name.value.replace("_", " ")
    known = f"known to ±{float(answer.error) * 100:.3g} %"
    rows = [
        ("peak", f"at {peak}, {known}", ""),
        ("  allocated", _bytes(answer.allocated, "binary"), _bytes(answer.allocated, "decimal")),
        ("  reserved", _bytes(answer.reserved, "binary"), _bytes(answer.reserved, "decimal")),
        ("  device", _bytes(answer.device, "binary"), _bytes(answer.device, "decimal")),
        ("parameters", _count(answer.parameters), f"{_count(answer.trainable)} trained"),
    ]
    lines = table(rows, frozenset())
    return [paint.bold(lines[0]), *lines[1:]]


def _bytes(ends: Bytes, reading: str) -> str:
    interval = Interval.point(ends[0]).hull(Interval.point(ends[1]))
    return display_interval(interval, Dimension.BYTES, "binary" if reading == "binary" else "decimal")


def _count(ends: Bytes) -> str:
    return display_count(ends[0]) if ends[0] == ends[1] else f"{display_count(ends[0])}–{display_count(ends[1])}"


def _fits(answer: Answer, paint: Paint) -> list[str]:
    """The named card, or the smallest cards that fit, by the memory that they have."""
    fits = answer.fits()
    if "gpu" in answer.scenario.fields:
        fit = fits[0]
        said = {"yes": "it fits", "no": "it does not fit", "maybe": "it may fit, or not"}[fit.verdict]
        return [line(f"{fit.gpu}: {said} ({_bytes(fit.usable, 'binary')} usable)")]
    surely = [fit for fit in fits if fit.verdict == "yes"]
    perhaps = [fit for fit in fits if fit.verdict == "maybe"]
    if not surely and not perhaps:
        return [paint.red(f"fits none of {len(fits)} GPUs")]
    lines = []
    for word, group in (("fits", surely), ("may fit", perhaps)):
        if group:
            lines.append(paint.bold(f"{word} {len(group)} of {len(fits)} GPUs; the smallest:"))
            lines += [f"{INDENT}{line(text)}" for text in _smallest(group)]
    return lines


def _smallest(fits: list[Fit]) -> Iterator[str]:
    """Cards by the memory that they surely have, as many as make a short list."""
    for usable, cards in groupby(fits[:SMALLEST_SHOWN], key=lambda fit: fit.usable):
        yield f"{_bytes(usable, 'binary')} usable: {', '.join(card.gpu for card in cards)}"
