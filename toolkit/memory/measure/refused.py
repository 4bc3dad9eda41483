"""Which settings are not measured, and why: said before a process is started or anything is imported."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from toolkit.memory.trace.refused import FSDP2, MXFP4, refusal_of, runs_trl
from toolkit.memory.weights.linear_storage import QUANTIZED
from toolkit.spec.fields.names import GALORE, OPTIMIZERS_8BIT, OPTIMIZERS_32BIT
from toolkit.spec.fields.objective import NEXT_TOKEN
from toolkit.spec.fields.packing import UNPACKED
from toolkit.spec.fields.process import NONE
from toolkit.spec.settings.setting import Setting


def refusal(setting: Setting) -> str:
    """Why a setting is measured nowhere; empty where nothing is known to stand against it."""
    return next((reason for rule in RULES if (reason := rule(setting))), "")


def missing(setting: Setting) -> str:
    """What a setting needs that is not installed here, as a sentence; empty where all is."""
    steps = setting.optimizer if setting.trains else ""
    needed = {
        "bitsandbytes": setting.weights in QUANTIZED or steps in OPTIMIZERS_8BIT | OPTIMIZERS_32BIT,
        "trl": setting.trains and runs_trl(setting),
        "galore_torch": steps in GALORE,
    }
    absent = [name for name, is_needed in needed.items() if is_needed and find_spec(name) is None]
    return f"{', '.join(absent)} not installed" if absent else ""


def _engine(setting: Setting) -> str:
    if setting.stack.trainer == "autoawq":
        return "AutoAWQ's own modules are not measured yet"
    engine = setting.stack.trainer == "vllm" or setting.engine
    return "an engine takes its share of a card whatever it runs: it is not measured" if engine else ""


def _several(setting: Setting) -> str:
    if setting.parallel.offload:
        return "offloading is not measured yet"
    if setting.parallel.gpus == 1:
        return ""
    if setting.parallel.strategy != FSDP2:
        return f"{setting.parallel.strategy} on several GPUs is not measured yet"
    known = setting.trains and setting.weights not in QUANTIZED
    return "" if known else "of FSDP2, training of weights that are not quantized is measured"


def _flash(setting: Setting) -> str:
    return "FlashAttention's own package is not run yet" if setting.attention == "flash" else ""


def _weights(setting: Setting) -> str:
    return "weights in MXFP4 are not measured yet" if setting.weights == MXFP4 else ""


def _rows(setting: Setting) -> str:
    return "packed rows are not measured yet" if setting.trains and setting.packing != UNPACKED else ""


def _objective(setting: Setting) -> str:
    other = setting.trains and setting.objective != NEXT_TOKEN
    return f"the objective {setting.objective} is not measured yet" if other else ""


def _steps(setting: Setting) -> str:
    if setting.trains and setting.optimizer_in_backward:
        return "steps inside of backward are not measured yet"
    offloads = setting.trains and setting.activation_offloading
    return "offloaded activations are not measured yet" if offloads else ""


def _process(setting: Setting) -> str:
    if setting.loading is not None:
        return f"loading {setting.loading} is not measured: the model is made on the GPU"
    again = setting.earlier_passes != NONE
    return "one process measures one scenario: it has run nothing before" if again else ""


RULES: tuple[Callable[[Setting], str], ...] = (
    _engine, _several, _weights, _flash, _rows, _objective, _steps, _process, refusal_of,
)  # fmt: skip
"""What is asked of a setting, in this order; last, what no trace of it runs either."""
