"""An estimate as text and as JSON: the ledger by phase, the peak, the parameters, and the fit on cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from toolkit.checks.situations.answer import Answer, Bytes, Fit
from toolkit.facts.models import is_written_out
from toolkit.memory.ledger import Phase
from toolkit.memory.rows.registry import ROWS
from toolkit.quantity import Reading, display_byte_range, display_count
from toolkit.report.json import as_json
from toolkit.report.scenario import grouped, plain, read_json
from toolkit.report.several_gpus import gpu_lines, gpus_json, heading_of, peak_text
from toolkit.report.terminal import INDENT, Paint, line, table
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.profiles import settled_fields
from toolkit.spec.training_configs.training_config import TrainingConfig

SMALLEST_SHOWN = 12
WITH_ROOM = (
    "reserved and device are those of a card with room for them: one that is full takes back what PyTorch keeps free, "
    "so that smaller cards fit, too; name one to see what it holds"
)
GIB = 2**30


def estimate_json(answer: Answer, read: TrainingConfig | None = None) -> str:
    """The answer as JSON. The phases are those at `setting`: the choice of open fields with the largest peak."""
    return as_json(
        {
            "scenario": grouped({name: said.value for name, said in answer.scenario.fields.items()}),
            "profile": answer.profile,
            "open": {name: plain(options) for name, options in answer.open.items()},
            "assumed": {name: plain(value) for name, value in settled_fields(answer.scenario).items()},
            "lowers": dict(answer.lowers),
            "left_out": [
                {"fields": {name: plain(value) for name, value in taken.items()}, "reason": reason}
                for reason, taken in answer.left_out.items()
            ],
            "setting": {name: plain(value) for name, value in answer.largest_choice.items()},
            "phases": [_phase(phase) for phase in answer.largest.ledger.phases],
            "peak": {
                "phase": answer.largest.ledger.peak.name.value,
                "largest_row": max(answer.largest.ledger.peak.rows, key=lambda one: one.bytes).name,
                "allocated": one_or_two(answer.allocated),
                "allocated_in_blocks": list(answer.counted),
                "reserved": list(answer.reserved),
                "device": list(answer.device),
                "context": list(answer.context),
                "error": float(answer.error),
            },
            **gpus_json(answer),
            "parameters": {
                "total": one_or_two(answer.parameters),
                "trainable": one_or_two(answer.trainable),
            },
            "fits": [{"gpu": fit.gpu, "verdict": fit.verdict, "usable": list(fit.usable)} for fit in answer.fits()],
            "notes": [*answer.largest.notes, *room_notes(answer)],
            **read_json(read),
        }
    )


def _phase(phase: Phase) -> dict[str, object]:
    rows = [{"row": row.name, "bytes": row.bytes, "formula": row.formula} for row in phase.rows]
    return {"phase": phase.name.value, "rows": rows, "total": phase.total}


def one_or_two(ends: Bytes) -> int | list[int]:
    """An amount, or the two ends of an interval, for JSON."""
    return ends[0] if ends[0] == ends[1] else list(ends)


def estimate_text(answer: Answer, paint: Paint | None = None) -> str:
    """The answer as text."""
    colours = paint or Paint()
    lines = [colours.bold(line(title_of(answer.scenario)))]
    lines += [f"{INDENT}{line(text)}" for text in _said_of(answer) if text]
    lines += ["", *_ledger(answer, colours), "", *_peak(answer, colours), "", *_fits(answer, colours)]
    lines += [line(f"note: {note}") for note in (*answer.largest.notes, *room_notes(answer))]
    return "\n".join(lines) + "\n"


def room_notes(answer: Answer) -> tuple[str, ...]:
    """A note where a card fits that has less memory than the peak shown: a full card caches less."""
    if answer.largest.setting.stack.trainer == "vllm":
        return ()  # it takes what a card has
    least = answer.device[0]
    return (WITH_ROOM,) if any(fit.verdict == "yes" and fit.usable[1] < least for fit in answer.fits()) else ()


def title_of(scenario: Scenario) -> str:
    """A scenario in one line."""
    said = {
        name: shown_value(field.value) for name, field in scenario.fields.items() if name not in ("model", "method")
    }
    rest = "".join(f", {name} {value}" for name, value in said.items())
    model = "a config written out" if is_written_out(scenario.model) else scenario.model
    return f"{model}, {scenario.method}{rest}"


def open_of(answer: Answer) -> Iterator[str]:
    """The open fields with their options, and the bytes by which each alone can lower the largest peak."""
    if not answer.open:
        return
    yield f"open, assumed by profile {answer.profile} where nothing is said, and how far each alone can lower the peak:"
    rows = []
    for name, by in answer.lowers.items():
        options = answer.open[name]
        said = " | ".join(map(shown_value, options)) if isinstance(options, tuple) else shown_value(options)
        rows.append((f"  {bytes_text((by, by), 'binary') if by else '·'}", f"{name}: {said}"))
    yield from table(rows, frozenset({0}))


def _said_of(answer: Answer) -> Iterator[str]:
    yield from open_of(answer)
    yield settled_of(answer.scenario)
    yield from left_out_of(answer)
    yield chosen_of(answer)


def settled_of(scenario: Scenario) -> str:
    """The values assumed for unstated fields that have only one option; empty where there are none."""
    taken = ", ".join(f"{name} {shown_value(value)}" for name, value in settled_fields(scenario).items())
    return f"assumed without another choice: {taken}" if taken else ""


def left_out_of(answer: Answer) -> Iterator[str]:
    """The options of open fields that are left out because no formula covers them."""
    for reason, taken in answer.left_out.items():
        what = ", ".join(f"{name} {shown_value(value)}" for name, value in taken.items()) or "some of these together"
        yield f"not counted: {what}, for {reason}"


def chosen_of(answer: Answer) -> str:
    """The choice of open fields that the ledger shows; empty where none is open."""
    chosen = ", ".join(f"{name} {shown_value(value)}" for name, value in answer.largest_choice.items())
    return f"the ledger is the one with the largest peak: {chosen}" if answer.open else ""


def shown_value(value: object) -> str:
    """The value of a field as text."""
    data = plain(value)
    if isinstance(data, Mapping):
        return f"{data['from']}..{data['to']}"
    if isinstance(data, list):
        return ", ".join(map(shown_value, data)) if data else "none"
    if isinstance(data, bool):
        return "yes" if data else "no"
    return "null" if data is None else str(data)


def _ledger(answer: Answer, paint: Paint) -> list[str]:
    """The ledger in GiB: a column for each phase, a line for each row that any phase has."""
    phases = answer.largest.ledger.phases
    alive = {row.name for phase in phases for row in phase.rows}
    names = [rule.name for rule in ROWS if rule.name in alive]
    cells = [{row.name: row.bytes for row in phase.rows} for phase in phases]
    rows = [(heading_of(answer), *(phase.name.value for phase in phases))]
    rows += [(name, *(gib(column.get(name)) for column in cells)) for name in names]
    rows.append(("total", *(gib(phase.total) for phase in phases)))
    lines = table(rows, frozenset(range(1, len(phases) + 1)))
    return [paint.bold(lines[0]), *lines[1:-1], paint.bold(lines[-1])]


def gib(amount: int | None) -> str:
    """An amount in GiB for a table; a dot for 0."""
    if amount is None:
        return "·"
    return f"{amount / GIB:,.3f}" if amount * 2000 >= GIB else "<0.001"


def _peak(answer: Answer, paint: Paint) -> list[str]:
    phase = answer.largest.ledger.peak
    row = max(phase.rows, key=lambda one: one.bytes)
    peak = phase.name.value.replace("_", " ")
    known = f"known to ±{float(answer.error) * 100:.3g} %"
    rows = [
        ("peak", f"{peak_text(answer)}at {peak}, {known}", ""),
        (
            "  largest row",
            f"{row.name}, {bytes_text((row.bytes, row.bytes), 'binary')}",
            share_of(row.bytes, phase.total),
        ),
        ("  allocated", bytes_text(answer.allocated, "binary"), bytes_text(answer.allocated, "decimal")),
        *_in_blocks(answer),
        ("  reserved", bytes_text(answer.reserved, "binary"), bytes_text(answer.reserved, "decimal")),
        ("  device", bytes_text(answer.device, "binary"), bytes_text(answer.device, "decimal")),
        *_beside(answer),
        *gpu_lines(answer),
        ("parameters", _count(answer.parameters), f"{_count(answer.trainable)} trained"),
    ]
    lines = table(rows, frozenset())
    return [paint.bold(lines[0]), *lines[1:]]


def _in_blocks(answer: Answer) -> list[tuple[str, str, str]]:
    """What torch counts, where that is known to be more: the ends of blocks, too."""
    blocks = answer.counted
    if blocks == answer.allocated:
        return []
    return [("    in whole blocks", bytes_text(blocks, "binary"), bytes_text(blocks, "decimal"))]


def share_of(part: int, whole: int) -> str:
    """A part in percent of the whole, in words."""
    return f"{100 * part / whole:.3g} % of it"


def _beside(answer: Answer) -> Iterator[tuple[str, str, str]]:
    """The parts of device memory that PyTorch does not count."""
    parts = [("of it the CUDA context", answer.context), ("of it NCCL", answer.communicators)]
    for name, ends in parts if answer.largest.setting.stack.trainer != "vllm" else ():
        if ends[1]:
            yield f"    {name}", bytes_text(ends, "binary"), bytes_text(ends, "decimal")


def bytes_text(ends: Bytes, reading: Reading) -> str:
    """An amount or an interval of bytes with its unit."""
    return display_byte_range(ends[0], ends[1], reading)


def _count(ends: Bytes) -> str:
    return display_count(ends[0]) if ends[0] == ends[1] else f"{display_count(ends[0])}–{display_count(ends[1])}"


def _fits(answer: Answer, paint: Paint) -> list[str]:
    """The fit on the named cards, or else the smallest cards that fit, by their memory."""
    fits = answer.fits()
    if named := len(answer.named_cards()):
        said = {"yes": "it fits", "no": "it does not fit", "maybe": "it may fit, or not"}
        return [
            line(f"{fit.gpu}: {said[fit.verdict]} ({bytes_text(fit.usable, 'binary')} usable)") for fit in fits[:named]
        ]
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
    """A short list of cards, by the memory that they surely have."""
    for usable, cards in groupby(fits[:SMALLEST_SHOWN], key=lambda fit: fit.usable):
        yield f"{bytes_text(usable, 'binary')} usable: {', '.join(card.gpu for card in cards)}"
