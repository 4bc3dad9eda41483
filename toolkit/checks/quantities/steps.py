"""Training steps: examples times epochs by what one optimizer step takes in."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.count_claim import CountedQuantity, UndefinedError, judge_count
from toolkit.checks.situations.situation import Situation
from toolkit.checks.situations.space import Choice
from toolkit.quantity.value import Dimension
from toolkit.spec.settings.setting import Parallel, Setting


def judge_steps(case: Case) -> Outcome:
    """Judges a number of optimizer steps of the scenario's run."""
    return judge_count(case, QUANTITY)


def optimizer_steps(setting: Setting) -> int:
    """Steps of the optimizer: each epoch ends with a step of what is left. Raises UndefinedError."""
    examples, epochs = _run(setting)
    return epochs * ceil(Fraction(examples, _examples_per_step(setting)))


def _run(setting: Setting) -> tuple[int, int]:
    if setting.run.examples is None or setting.run.epochs is None:
        raise UndefinedError("the scenario states no number of examples or epochs")
    return setting.run.examples, setting.run.epochs


def _examples_per_step(setting: Setting) -> int:
    return setting.batch_size * setting.gradient_accumulation * _copies(setting.parallel)


def _copies(parallel: Parallel) -> int:
    """How many copies of the model see batches of their own: stages of a pipeline and parts of layers see the same."""
    return {"pipeline": parallel.optimizer_shards, "tensor": 1}.get(parallel.strategy, parallel.gpus)


def _of(situation: Situation, choice: Choice) -> Fraction:
    return Fraction(optimizer_steps(situation.setting(choice)))


def _fact(situation: Situation, choice: Choice) -> str:
    setting = situation.setting(choice)
    examples, epochs = _run(setting)
    micro = epochs * ceil(Fraction(examples, setting.batch_size * _copies(setting.parallel)))
    return (
        f"{examples:,} examples × {epochs} epochs at {_examples_per_step(setting)} examples a step are"
        f" {optimizer_steps(setting):,} optimizer steps"
        f" ({micro:,} forward passes, {examples * epochs:,} examples seen)"
    )


QUANTITY = CountedQuantity("steps", Dimension.NUMBER, _of, frozenset({"time"}), _fact, "number of steps", grows=False)
