"""Known changes that save memory, and what each would save in a scenario to which it applies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from toolkit.checks.questions.comparison import Comparison, changed_scenario, compare
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.answer import Answer
from toolkit.checks.situations.space import TooManySettingsError
from toolkit.finding import Severity
from toolkit.frozen import frozen
from toolkit.memory.libraries.losses import loss_of
from toolkit.spec.check import scenario_findings
from toolkit.spec.fields import names
from toolkit.spec.fields.value import Atom, Field, Fixed
from toolkit.spec.look_up import LookUp
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.setting import Setting


@frozen
class Remedy:
    """A change that may save memory: the new values of fields (None: the field is left out), and where it applies.

    `costs` says what one pays for it.
    """

    fields: Mapping[str, Atom]
    costs: str
    applies: Callable[[Setting], bool]


def _adapters(rank: int) -> Mapping[str, Atom]:
    return {"lora.rank": rank, "lora.targets": "all-linear", "master_weights": None}


def _lacks_logits_saving(setting: Setting) -> bool:
    return setting.trains and setting.head == "causal-lm" and loss_of(setting) == "cross-entropy"


REMEDIES: tuple[Remedy, ...] = (
    Remedy(
        {"gradient_checkpointing": True},
        "the forward pass runs twice",
        lambda setting: setting.trains and setting.gradient_checkpointing == "false",
    ),
    Remedy(
        {"validation.batch_size": 1},
        "evaluations take longer",
        lambda setting: setting.validation is not None and setting.validation.kept_batches == 0,
    ),
    Remedy(
        {"validation.kept_batches": 1},
        "eval_accumulation_steps=1: predictions go to main memory after each batch",
        lambda setting: setting.validation is not None and setting.validation.kept_batches > 1,
    ),
    Remedy(
        {"optimizer": "adamw_8bit"},
        "states are rounded to 8 bit; needs bitsandbytes",
        lambda setting: setting.optimizer in ("adamw", "paged_adamw"),
    ),
    Remedy(
        {"optimizer": "paged_adamw_8bit"},
        "states are rounded to 8 bit and may move to main memory; needs bitsandbytes",
        lambda setting: setting.optimizer in ("adamw", "paged_adamw", "adamw_8bit"),
    ),
    Remedy(
        {"optimizer": "adafactor"},
        "second moments are factored",
        lambda setting: setting.optimizer in ("adamw", "paged_adamw"),
    ),
    Remedy(
        {"stack.loss": "chunked"},
        "needs a trainer that takes logits in chunks, as TRL does",
        lambda setting: _lacks_logits_saving(setting) and setting.stack.trainer == "trl",
    ),
    Remedy(
        {"stack.loss": "fused"},
        "needs Liger's kernels",
        lambda setting: _lacks_logits_saving(setting) and setting.stack.trainer in ("transformers", "trl"),
    ),
    Remedy(
        {"weights": "bf16", "compute": None, "master_weights": None},
        "weights are trained in 16 bit",
        lambda setting: setting.weights == "fp32" and setting.method == "full",
    ),
    Remedy(
        {"weights": "bf16", "compute": None},
        "weights are rounded to 16 bit",
        lambda setting: setting.weights == "fp32" and setting.method != "full",
    ),
    Remedy({"amp": True}, "products are taken in 16 bit", lambda setting: setting.trains and not setting.amp),
    Remedy({"attention": "sdpa"}, "nothing", lambda setting: setting.attention == "eager"),
    Remedy({"padding": False}, "rows are packed, or as long as each other", lambda setting: setting.padding),
    Remedy(
        {"method": "lora", **_adapters(16)},
        "adapters of rank 16 are trained, not the model",
        lambda setting: setting.method == "full",
    ),
    Remedy(
        {"method": "qlora", "weights": "nf4", "compute": None, **_adapters(16)},
        "adapters of rank 16 are trained beside weights rounded to 4 bit; needs bitsandbytes",
        lambda setting: setting.method == "full",
    ),
    Remedy(
        {"method": "qlora", "weights": "nf4", "compute": None},
        "weights are rounded to 4 bit; needs bitsandbytes",
        lambda setting: setting.method == "lora",
    ),
    Remedy(
        {"double_quant": True},
        "scales of 4-bit weights are rounded to 8 bit",
        lambda setting: setting.weights in names.DOUBLE_QUANTIZED and not setting.double_quant,
    ),
    Remedy(
        {"weights": "int8", "compute": None},
        "weights are rounded to 8 bit; needs bitsandbytes",
        lambda setting: setting.weights in names.FLOATS and setting.method in ("inference", "lora"),
    ),
    Remedy(
        {"weights": "nf4", "compute": None},
        "weights are rounded to 4 bit; needs bitsandbytes",
        lambda setting: setting.weights in names.FLOATS and setting.method == "inference",
    ),
    Remedy({"batch_size": 1}, "more steps", lambda setting: setting.batch_size > 1),
)
"""Every change that is tried."""

ANOTHER_RUN = ("method", "weights", "batch_size")
"""Fields whose change makes it another run: they are not combined with other changes."""


@frozen
class Advice:
    """A change that applies to the scenario, and the comparison with it."""

    remedy: Remedy
    comparison: Comparison


def advise(before: Answer, base: Path) -> list[Advice]:
    """Every change that applies to a scenario and that the formulas cover, the one that saves most first.

    One of them combines the best changes of each kind that leave method, weights and batch as they are.
    """
    setting, look_up = before.largest.setting, LookUp(base)
    applicable = (remedy for remedy in REMEDIES if remedy.applies(setting))
    found = [advice for remedy in applicable if (advice := _advice(before, remedy, look_up)) is not None]
    found.sort(key=_difference)
    together = _together(found)
    if together is not None and (advice := _advice(before, together, look_up)) is not None:
        found.append(advice)
        found.sort(key=_difference)
    return found


def _difference(advice: Advice) -> int:
    return advice.comparison.peak.difference


def _advice(before: Answer, remedy: Remedy, look_up: LookUp) -> Advice | None:
    """The effect of a remedy; None where it contradicts the scenario or no formula covers it."""
    changed = changed_scenario(before.scenario, dict(_fields(remedy, before.scenario)))
    if any(one.severity is Severity.ERROR for one in scenario_findings(changed, look_up, narrows=False)):
        return None
    try:
        comparison = compare(before, changed, words(remedy.fields), look_up.base)
    except (*REFUSALS, TooManySettingsError):
        return None
    return Advice(remedy, comparison) if comparison is not None else None


def _together(found: Sequence[Advice]) -> Remedy | None:
    """The first remedies of each kind that leave the run as it is, as one; None if there are fewer than two."""
    fields: dict[str, Atom] = {}
    kinds = 0
    for advice in found:
        said = advice.remedy.fields
        other_run = said.keys() & set(ANOTHER_RUN) or said.get("optimizer") == "adafactor"
        if _difference(advice) < 0 and not other_run and not said.keys() & fields.keys():
            fields |= said
            kinds += 1
    return Remedy(fields, "all of these", lambda _setting: True) if kinds > 1 else None


def _fields(remedy: Remedy, scenario: Scenario) -> Iterator[tuple[str, Field | None]]:
    for name, value in remedy.fields.items():
        yield name, None if value is None else Field(Fixed(value), scenario.place)


def words(fields: Mapping[str, Atom]) -> str:
    """A change in the form of --compare, without the fields that it leaves out."""
    said = {name: value for name, value in fields.items() if value is not None}
    return ",".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in said.items()
    )
