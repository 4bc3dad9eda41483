"""The batches that trainers evaluate between steps: a validation of the scenario, where that is followed.

What compute_metrics keeps of them is in no configuration: validation.kept_batches says it.
"""

from __future__ import annotations

from toolkit.finding import Finding, Severity
from toolkit.spec.fields.validation import LOSSES, STRATEGIES, TRAINERS
from toolkit.spec.settings.validation import BATCH
from toolkit.spec.training_configs.config import Config

_TRAINERS = ("per_device_eval_batch_size", "per_gpu_eval_batch_size")
_STRATEGY = ("eval_strategy", "evaluation_strategy")
NEVER = "no"


def take_evaluation(config: Config) -> None:
    """Reads what transformers' Trainer evaluates; to be called when the loss and the strategy are known.

    Source: transformers training_args.py (eval_strategy, do_eval, per_device_eval_batch_size).
    """
    rows = config.whole(*_TRAINERS)
    if config.word(*_STRATEGY) in (None, NEVER) and not config.truth("do_eval"):
        return
    _take(config, rows, BATCH, config.present(*_TRAINERS) if rows else config.present(*_STRATEGY, "do_eval"))


def take_evaluation_of_axolotl(config: Config) -> None:
    """Reads what axolotl evaluates, wherever it has rows for that: in batches of training unless it says others.

    Source: axolotl utils/config/__init__.py, normalize_config (eval_batch_size).
    """
    rows, share = config.whole("eval_batch_size"), config.decimal("val_set_size")
    sets = config.node("test_datasets") is not None
    if config.word(*_STRATEGY) == NEVER or not (share or sets):
        return
    trained = config.value("batch_size")
    default = trained if isinstance(trained, int) else 1
    _take(config, rows, default, "eval_batch_size" if rows else "val_set_size" if share else "test_datasets")


def _take(config: Config, rows: int | None, default: int, key: str) -> None:
    trained, evaluated = config.value("batch_size"), default if rows is None else rows
    if _is_followed(config):
        if rows is None:
            config.assume("validation.batch_size", evaluated, f"the default of {config.tool}")
        else:
            config.put("validation.batch_size", rows, key)
    elif isinstance(trained, int) and evaluated > trained:
        message = f"{key}: evaluation takes {evaluated} sequences at once and training {trained}, which is not followed"
        config.findings.append(Finding(config.place(key), "S115", message, None, Severity.WARNING))


def _is_followed(config: Config) -> bool:
    known = {"stack.trainer": TRAINERS, "stack.loss": LOSSES, "parallel.strategy": STRATEGIES, "objective": ()}
    return all(config.value(name) in (None, *values) for name, values in known.items())
