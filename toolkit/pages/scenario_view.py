"""A scenario's answer in words and tables, as guides and model cards show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import groupby, islice

from toolkit.checks.situations.answer import Answer, Bytes
from toolkit.facts.models import is_written_out
from toolkit.frozen import frozen
from toolkit.memory.ledger import Phase
from toolkit.memory.rows.registry import ROWS
from toolkit.pages.marks import one_line
from toolkit.pages.subject import Situated
from toolkit.quantity import display_byte_range, display_count
from toolkit.spec.fields.value import Choices, Fixed, Range
from toolkit.spec.scenario import Scenario

GIB = 2**30
SHORT_LIST = 4
"""The number of memory sizes that are listed, from the smallest on."""


@frozen
class ScenarioView:
    """The texts of a page about a scenario, in the order in which they are shown."""

    title: str
    model: str
    method: str
    fields: tuple[tuple[str, str], ...]
    refusal: str
    opened: tuple[tuple[str, str], ...] = ()
    chosen: str = ""
    peak: tuple[tuple[str, str, str, str], ...] = ()
    peak_phase: str = ""
    error: str = ""
    phases: tuple[str, ...] = ()
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()
    totals: tuple[str, ...] = ()
    fits: tuple[tuple[str, str, str], ...] = ()
    parameters: str = ""
    trained: str = ""
    notes: tuple[str, ...] = ()

    @property
    def smallest(self) -> str:
        """The smallest cards that fit surely, with the memory that they have."""
        return next((f"{cards} ({usable})" for said, cards, usable in self.fits if said == "fits"), "none")


METRICS = {
    "allocated": "live tensors; `torch.cuda.max_memory_allocated` counts whole blocks, slightly more",
    "reserved": "what torch's allocator holds",
    "device": "what `nvidia-smi` shows",
}


def scenario_view(situated: Situated) -> ScenarioView:
    """A scenario for a page."""
    scenario, found = situated.scenario, situated.answer
    title, model = one_line(scenario.title or scenario.name), _model(scenario)
    fields = tuple(_fields(scenario))
    if found is None:
        return ScenarioView(title, model, scenario.method, fields, one_line(situated.refusal))
    ledger = found.largest.ledger
    return ScenarioView(
        title,
        model,
        scenario.method,
        fields,
        "",
        opened=tuple((name, shown(options)) for name, options in found.open.items()),
        chosen=", ".join(f"{name} {shown(value)}" for name, value in found.largest_choice.items()),
        peak=tuple(_peak(found)),
        peak_phase=ledger.peak.name.value.replace("_", " "),
        error=_percent(found.error),
        phases=tuple(phase.name.value.replace("_", " ") for phase in ledger.phases),
        rows=tuple(_rows(ledger.phases)),
        totals=tuple(_gib(phase.total) for phase in ledger.phases),
        fits=tuple(_fits(found)),
        parameters=_count(found.parameters),
        trained=_count(found.trainable),
        notes=tuple(map(one_line, found.largest.notes)),
    )


def shown(value: object) -> str:
    """A field's value in words: "1 to 8", "fp16, bf16", "yes"."""
    match value:
        case Fixed(value=inner) | Choices(values=inner):
            return shown(inner)
        case Range(low=low, high=high):
            return f"{low} to {high}"
        case tuple():
            return ", ".join(map(shown, value)) or "none"
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
    return one_line(str(value))


def _model(scenario: Scenario) -> str:
    return "a config written out" if is_written_out(scenario.model) else one_line(scenario.model)


def _fields(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for name, said in scenario.fields.items():
        if name not in ("model", "method"):
            yield name, shown(said.value)


def _peak(found: Answer) -> Iterator[tuple[str, str, str, str]]:
    for name, meaning in METRICS.items():
        ends: Bytes = getattr(found, name)
        yield name, _bytes(ends, binary=True), _bytes(ends, binary=False), meaning


def _rows(phases: tuple[Phase, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    cells: list[Mapping[str, int]] = [{row.name: row.bytes for row in phase.rows} for phase in phases]
    for rule in ROWS:
        if any(rule.name in column for column in cells):
            yield rule.name, tuple(_gib(column.get(rule.name)) for column in cells)


def _gib(amount: int | None) -> str:
    if amount is None:
        return "·"
    return f"{amount / GIB:,.3f}" if amount * 2000 >= GIB else "<0.001"


def _fits(found: Answer) -> Iterator[tuple[str, str, str]]:
    """The fit on the named card, then the smallest cards that surely fit, and that may."""
    fits = found.fits()
    if "gpu" in found.scenario.fields:
        said = {"yes": "fits", "no": "does not fit", "maybe": "may fit, or not"}[fits[0].verdict]
        yield said, one_line(fits[0].gpu), _bytes(fits[0].usable, binary=True)
    for verdict, said in (("yes", "fits"), ("maybe", "may fit, or not")):
        chosen = [fit for fit in fits if fit.verdict == verdict]
        for usable, cards in islice(groupby(chosen, key=lambda fit: fit.usable), SHORT_LIST):
            yield said, ", ".join(dict.fromkeys(one_line(card.gpu) for card in cards)), _bytes(usable, binary=True)
    if all(fit.verdict == "no" for fit in fits):
        yield "does not fit", f"any of {len(fits)} GPUs", ""


def _bytes(ends: Bytes, *, binary: bool) -> str:
    return display_byte_range(ends[0], ends[1], "binary" if binary else "decimal")


def _count(ends: Bytes) -> str:
    return display_count(ends[0]) if ends[0] == ends[1] else f"{display_count(ends[0])} to {display_count(ends[1])}"


def _percent(error: Fraction) -> str:
    return f"{float(error) * 100:.3g} %"
