"""Which modules adapters are put on: whether listed names match any, and whether "all linear layers" are all."""

from __future__ import annotations

import re
from collections.abc import Iterable

from toolkit.checks.case import Case, malformed
from toolkit.checks.judgement import Claimed, Outcome, Verdict
from toolkit.checks.quantities.memory_claim import NO_SCENARIO
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.situation import Situation
from toolkit.evidence.evidence import Evidence, EvidenceKind
from toolkit.memory.architecture import ModuleKind
from toolkit.memory.architecture.stack import as_built
from toolkit.memory.weights.adapter import TargetMatch
from toolkit.memory.weights.lora import match_targets
from toolkit.quantity.interval import Interval

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[_.][A-Za-z0-9]+)+")
_ALL_LINEAR = re.compile(r"\ball[ -]linear\b", re.IGNORECASE)


def judge_adapted_modules(case: Case) -> Outcome:
    """Judges a list of adapted modules: every name must match one, and "all linear" must reach the experts, too."""
    names = tuple(dict.fromkeys(_NAME.findall(case.text)))
    says_all = _ALL_LINEAR.search(case.text) is not None
    if not names and not says_all:
        return malformed("list of module names", case)
    claimed = Claimed(case.text)
    if case.situation is None:
        return Outcome(Verdict.UNCHECKED, NO_SCENARIO, claimed)
    try:
        return _judged(case.situation, names, claimed, says_all=says_all)
    except REFUSALS as refusal:
        return Outcome(Verdict.UNCHECKED, f"cannot be matched: {refusal}", claimed)


def _judged(situation: Situation, names: tuple[str, ...], claimed: Claimed, *, says_all: bool) -> Outcome:
    architecture = as_built(situation.architecture(), situation.setting())
    match = match_targets(architecture, names or "all-linear")
    fused = [module for module in architecture.modules if module.kind is ModuleKind.EXPERTS]
    linear = match_targets(architecture, "all-linear")
    adapted_paths = {module.path for module in match.matched}
    missed = [module for module in linear.matched if module.path not in adapted_paths]
    facts = [_matched(match)]
    if match.unmatched:
        verb = "matches" if len(match.unmatched) == 1 else "match"
        facts.append(f"{_listed(match.unmatched)} {verb} no module of the model")
    if says_all and missed:
        count = sum(module.count for module in missed)
        facts.append(f"{count:,} other linear layers are left out ({next(missed[0].paths())} is one)")
    if says_all and fused and not any(module in match.matched for module in fused):
        experts = sum(module.elements for module in fused)
        facts.append(f"the experts' {experts:,} weights are fused parameters, no linear layers, and get no adapter")
    evidence = Evidence(EvidenceKind.EXACT, Interval.point(match.count), facts=tuple(facts))
    wrong = bool(match.unmatched) or (says_all and (bool(missed) or bool(fused)))
    if not wrong:
        return Outcome(Verdict.AGREES, "; ".join(facts), claimed, (evidence,))
    adapted = [name for name, count in match.per_target.items() if count]
    repair = f"list {_listed(adapted)}" if adapted else "list modules that the model has"
    return Outcome(Verdict.DISAGREES, "; ".join(facts), claimed, (evidence,), repair=repair)


def _matched(match: TargetMatch) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in match.per_target.items() if count)
    return f"adapters are put on {match.count} modules ({counts})" if counts else "no module is adapted"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
