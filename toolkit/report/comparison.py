"""Comparisons of a scenario with changed ones, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from toolkit.checks.questions.advice import Advice, words
from toolkit.checks.questions.comparison import Comparison, PhaseChange, RowChange
from toolkit.checks.situations.answer import Answer
from toolkit.quantity import display_bytes
from toolkit.report.estimate import bytes_text, chosen_of, gib, left_out_of, one_or_two, open_of, room_notes, title_of
from toolkit.report.json import as_json
from toolkit.report.scenario import grouped, plain, read_json
from toolkit.report.terminal import INDENT, Paint, line, plural, table
from toolkit.spec.training_configs.training_config import TrainingConfig

CARDS_SHOWN = 8


def comparisons_json(before: Answer, comparisons: Sequence[Comparison], read: TrainingConfig | None = None) -> str:
    """The comparisons as JSON; the ledgers are those at `setting`."""
    return as_json(
        {
            "scenario": grouped({name: said.value for name, said in before.scenario.fields.items()}),
            "setting": {name: plain(value) for name, value in before.largest_choice.items()},
            **read_json(read),
            "comparisons": [_comparison(one) for one in comparisons],
        }
    )


def advice_json(before: Answer, advice: Sequence[Advice], read: TrainingConfig | None = None) -> str:
    """Every change that applies, as JSON, the one that saves most first."""
    return as_json(
        {
            "scenario": grouped({name: said.value for name, said in before.scenario.fields.items()}),
            "setting": {name: plain(value) for name, value in before.largest_choice.items()},
            **read_json(read),
            "advice": [
                {"change": words(one.remedy.fields), "costs": one.remedy.costs, **_summary(one.comparison)}
                for one in advice
            ],
        }
    )


def _comparison(one: Comparison) -> Mapping[str, object]:
    return {
        "change": one.said,
        "setting": {name: plain(value) for name, value in one.changed_choice.items()},
        **_summary(one),
        "phases": [
            {"phase": phase.phase.value, "rows": [_change(row) for row in phase.rows], "total": _change(phase.total)}
            for phase in one.phases()
        ],
    }


def _summary(one: Comparison) -> dict[str, object]:
    return {
        "peak": {
            **_change(one.peak),
            "allocated": {"before": one_or_two(one.before.allocated), "after": one_or_two(one.after.allocated)},
            "device": {"before": list(one.before.device), "after": list(one.after.device)},
        },
        "newly_fits": one.newly(),
        "newly_may_fit": one.newly("maybe"),
        "no_longer_fits": one.no_longer(),
        **({"notes": list(notes)} if (notes := _notes(one)) else {}),
    }


def _notes(one: Comparison) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*room_notes(one.before), *room_notes(one.after))))


def _change(row: RowChange) -> dict[str, object]:
    percent = None if row.percent is None else round(row.percent, 4)
    return {
        "row": row.name,
        "before": row.before,
        "after": row.after,
        "difference": row.difference,
        "percent": percent,
    }


def comparisons_text(before: Answer, comparisons: Sequence[Comparison], paint: Paint | None = None) -> str:
    """The comparisons as text."""
    colours = paint or Paint()
    lines = _heading(before, colours)
    for one in comparisons:
        lines += ["", colours.bold(line(f"with {one.said}"))]
        for phase in one.phases():
            lines += ["", *_phase(phase, colours)]
        lines += ["", *map(line, _peak(one)), *map(line, _cards(one))]
        lines += [line(f"note: {note}") for note in one.estimate_after.notes]
    return "\n".join(lines) + "\n"


def advice_text(before: Answer, advice: Sequence[Advice], paint: Paint | None = None) -> str:
    """Every change that applies, as text, the one that saves most first."""
    colours = paint or Paint()
    lines = [*_heading(before, colours), ""]
    if not advice:
        return "\n".join([*lines, "no change that is known here applies and can be computed"]) + "\n"
    peak = before.largest.allocated
    rows: list[tuple[str, ...]] = [("change", "peak GiB", "difference", "", "newly fits", "costs")]
    rows.append(("none", gib(peak), "", "", "", ""))
    rows += [_advice_row(one) for one in advice]
    lines += [line(text) for text in table(rows, frozenset({1, 2, 3}))]
    return "\n".join(lines) + "\n"


def _advice_row(one: Advice) -> tuple[str, ...]:
    peak = one.comparison.peak
    count = len(one.comparison.newly())
    return (
        words(one.remedy.fields),
        gib(peak.after),
        _signed(peak.difference),
        _percent(peak),
        plural(count, "GPU") if count else "",
        one.remedy.costs,
    )


def _heading(before: Answer, colours: Paint) -> list[str]:
    lines = [colours.bold(line(title_of(before.scenario)))]
    said = (*open_of(before), *left_out_of(before), chosen_of(before).replace("the ledger is", "compared is"))
    return lines + [f"{INDENT}{line(text)}" for text in said if text]


def _phase(phase: PhaseChange, paint: Paint) -> list[str]:
    """The rows that differ, and the total."""
    moved = [row for row in phase.rows if row.difference]
    rows: list[tuple[str, ...]] = [(f"{phase.phase.value}, GiB", "before", "after", "difference", "")]
    rows += [(row.name, *_cells(row)) for row in (*moved, phase.total)]
    lines = table(rows, frozenset({1, 2, 3, 4}))
    same = len(phase.rows) - len(moved)
    if same:
        lines.insert(-1, f"({plural(same, 'row')} the same)")
    return [paint.bold(lines[0]), *lines[1:]]


def _cells(row: RowChange) -> tuple[str, ...]:
    return gib(row.before or None), gib(row.after or None), _signed(row.difference), _percent(row)


def _signed(amount: int) -> str:
    sign = "+" if amount > 0 else "-" if amount < 0 else ""
    return f"{sign}{display_bytes(abs(amount), 'binary')}"


def _percent(row: RowChange) -> str:
    return "" if row.percent is None else f"{row.percent:+.1f} %"


def _peak(one: Comparison) -> Iterator[str]:
    peak = one.peak
    names = [estimate.ledger.peak.name.replace("_", " ") for estimate in (one.estimate_before, one.estimate_after)]
    yield (
        f"peak: {display_bytes(peak.before, 'binary')} at {names[0]} before, {display_bytes(peak.after, 'binary')} at "
        f"{names[1]} after: {_signed(peak.difference)} ({_percent(peak) or 'of nothing'})"
    )
    yield f"device: {bytes_text(one.before.device, 'binary')} before, {bytes_text(one.after.device, 'binary')} after"
    yield from (f"note: {note}" for note in _notes(one))


def _cards(one: Comparison) -> Iterator[str]:
    groups = (("newly fits", one.newly()), ("newly may fit", one.newly("maybe")), ("fits no longer", one.no_longer()))
    for word, cards in groups:
        if cards:
            named = ", ".join(cards[:CARDS_SHOWN])
            more = f" and {len(cards) - CARDS_SHOWN} more" if len(cards) > CARDS_SHOWN else ""
            yield f"{word}: {named}{more}"
    if not any(cards for _, cards in groups):
        yield "no GPU fits that did not"
