"""The batches that trainers evaluate between steps: a validation of the scenario, where that is followed.

Whether compute_metrics keeps what they predict is in no configuration: validation.kept_batches says it.
"""

from __future__ import annotations

from toolkit.finding import Finding, Severity
from toolkit.spec.fields.validation import LOSSES, STRATEGIES, TRAINERS
from toolkit.spec.settings.validation import BATCH
from toolkit.spec.training_configs.config import Config, is_off

_TRAINERS = ("per_device_eval_batch_size", "per_gpu_eval_batch_size")
_STRATEGY = ("eval_strategy", "evaluation_strategy")
_NEVER = ("no", "false")
"""YAML 1.1 writes `no` as false."""
_KEEPS = ("eval_accumulation_steps", "batch_eval_metrics")


def take_evaluation(config: Config) -> None:
    """Reads what transformers' Trainer evaluates; to be called when the loss and the strategy are known.

    Source: transformers training_args.py (eval_strategy, do_eval, per_device_eval_batch_size).
    """
    rows = config.whole(*_TRAINERS)
    if not _is_named(config) and not config.truth("do_eval"):
        for key in _KEEPS:  # read, and of no run that evaluates nothing
            config.node(key)
        return
    keeps = "what compute_metrics keeps on the GPU is not counted: state validation.kept_batches"
    config.matters_where_said([(key, keeps) for key in _KEEPS], stops=False)
    stated = rows is not None
    _take(config, rows, BATCH, config.present(*_TRAINERS) if stated else config.present(*_STRATEGY, "do_eval"))


def take_evaluation_of_axolotl(config: Config) -> None:
    """Reads what axolotl evaluates, wherever it has rows for that: in batches of training unless it says others.

    Source: axolotl utils/config/__init__.py, normalize_config (eval_batch_size).
    """
    rows, share = config.whole("eval_batch_size"), config.decimal("val_set_size")
    node = config.node("test_datasets")
    sets = node is not None and not is_off(node)
    turned_off = config.node(*_STRATEGY) is not None and not _is_named(config)
    if turned_off or not (share or sets):
        return
    trained = config.value("batch_size")
    default = trained if isinstance(trained, int) else 1
    where = "val_set_size" if share else "test_datasets"
    _take(config, rows, default, where if rows is None else "eval_batch_size")


def _is_named(config: Config) -> bool:
    """Whether a strategy of evaluation is stated."""
    node = config.node(*_STRATEGY)
    return node is not None and not is_off(node) and config.word(*_STRATEGY) not in _NEVER


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
