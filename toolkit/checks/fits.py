"""Whether a GPU has the memory: the device peak against what is usable of the card."""

from __future__ import annotations

from fractions import Fraction

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.checks.memory_claim import NO_SCENARIO
from toolkit.checks.peak_memory import AT_LOAD, METRICS, at_load
from toolkit.checks.situation import REFUSALS, Situation, all_moved
from toolkit.checks.space import Choice, Side, TooManySettings
from toolkit.checks.spread import over_settings
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.facts.gpu import GenericGpu, Gpu, GpuVariants
from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.quantity import Mark, display_interval, parse_mark
from toolkit.quantity.interval import Interval
from toolkit.quantity.value import Dimension

NO_GPU = "the scenario names no GPU"


def judge_fits(case: Case) -> Outcome:
    """Judges a mark or a word that says that a scenario fits on a GPU, or does not."""
    mark = parse_mark(case.text)
    if mark is None:
        return malformed("mark or word that says whether it fits", case)
    claimed = Claimed(case.text)
    if case.situation is None:
        return Outcome(Verdict.UNCHECKED, NO_SCENARIO, claimed)
    name = case.situation.setting().gpu
    card = find_gpu(name) if name else UnknownName("", ())
    if isinstance(card, UnknownName):
        return Outcome(Verdict.UNCHECKED, NO_GPU if not name else f"no GPU is known as {name!r}", claimed)
    try:
        return _judged(case, case.situation, mark, card)
    except (*REFUSALS, TooManySettings) as refusal:
        return Outcome(Verdict.UNCHECKED, f"cannot be computed: {refusal}", claimed)


def _judged(case: Case, situation: Situation, mark: Mark, card: Gpu | GpuVariants | GenericGpu) -> Outcome:
    quantity = (AT_LOAD if at_load(case) else METRICS)["device"]

    def needed(choice: Choice) -> Interval:
        estimate = situation.estimate(choice)
        return quantity.of(estimate).widened(quantity.error(estimate))

    def side_at(choice: Choice) -> Side:
        need = needed(choice)
        assert need.low is not None
        assert need.high is not None
        if mark is Mark.NO:
            return Side.BELOW if need.high <= card.usable_low else Side.HOLDS
        return Side.ABOVE if need.low > card.usable_high else Side.HOLDS

    spread, found = over_settings(situation.space, situation.fields(*all_moved()), side_at)
    estimates = [situation.estimate(choice) for choice, _ in found.choices]
    needs = [quantity.of(estimate) for estimate in estimates]
    whole = needs[0]
    for need in needs[1:]:
        whole = whole.hull(need)
    least = min(estimates, key=lambda estimate: estimate.device[0])
    evidence = Evidence(
        EvidenceKind.COMPUTED, whole, quantity.error(least), least.setting.stack.label(), (quantity.fact(least),)
    )
    usable = Interval(Fraction(card.usable_low), Fraction(card.usable_high))
    reason = (
        f"needs {display_interval(whole, Dimension.BYTES, 'binary')}"
        f" (known to {float(evidence.error) * 100:.3g} %; {evidence.facts[0]});"
        f" {card.name} has {display_interval(usable, Dimension.BYTES, 'binary')} usable"
    )
    repair = spread.repair
    if spread.verdict is Verdict.DISAGREES:
        repair = "say that it fits" if mark is Mark.NO else "say that it does not fit, or name a larger GPU"
    return Outcome(spread.verdict, reason, Claimed(case.text), (evidence,), spread.boundary, repair)
