"""Every quantity that a document can claim, its code, and the function that judges it: one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from toolkit.checks.case import Case
from toolkit.checks.judgement import Outcome
from toolkit.checks.quantities.activations import judge_activations
from toolkit.checks.quantities.adapted_modules import judge_adapted_modules
from toolkit.checks.quantities.adapters import adapters_agree, judge_adapters
from toolkit.checks.quantities.arithmetic import arithmetic_agrees, judge_arithmetic
from toolkit.checks.quantities.change import judge_change
from toolkit.checks.quantities.checkpoint import judge_checkpoint
from toolkit.checks.quantities.cost import judge_cost
from toolkit.checks.quantities.disk import disk_agrees, judge_disk
from toolkit.checks.quantities.duration import judge_duration
from toolkit.checks.quantities.event import judge_event
from toolkit.checks.quantities.fits import judge_fits
from toolkit.checks.quantities.gpu_memory import judge_gpu_memory
from toolkit.checks.quantities.gradients import gradients_agree, judge_gradients
from toolkit.checks.quantities.host_memory import judge_host_memory
from toolkit.checks.quantities.hyperparameter import judge_hyperparameter
from toolkit.checks.quantities.kv_cache import judge_kv_cache, kv_cache_agree
from toolkit.checks.quantities.master_weights import judge_master_weights, master_weights_agree
from toolkit.checks.quantities.optimizer_states import judge_optimizer_states, optimizer_states_agree
from toolkit.checks.quantities.overhead import judge_overhead
from toolkit.checks.quantities.parameters import judge_parameters
from toolkit.checks.quantities.peak_memory import judge_peak_memory
from toolkit.checks.quantities.quality import judge_quality
from toolkit.checks.quantities.software import judge_software
from toolkit.checks.quantities.speed_ratio import judge_speed_ratio
from toolkit.checks.quantities.steps import judge_steps
from toolkit.checks.quantities.trainable_parameters import judge_trainable_parameters
from toolkit.checks.quantities.trainable_share import judge_trainable_share
from toolkit.checks.quantities.weights import judge_weights, weights_agree
from toolkit.frozen import frozen


@frozen
class Checker:
    """How a quantity is judged, and the code that its findings carry.

    `agrees` is there where the true value is known without error, and tells the verdict alone: such statements show
    which GB a document means.
    """

    code: str
    judge: Callable[[Case], Outcome]
    agrees: Callable[[Case], bool] | None = None


CHECKERS: Mapping[str, Checker] = {
    "peak_memory": Checker("M301", judge_peak_memory),
    "weights": Checker("M302", judge_weights, weights_agree),
    "gradients": Checker("M303", judge_gradients, gradients_agree),
    "optimizer_states": Checker("M304", judge_optimizer_states, optimizer_states_agree),
    "activations": Checker("M305", judge_activations),
    "kv_cache": Checker("M306", judge_kv_cache, kv_cache_agree),
    "overhead": Checker("M307", judge_overhead),
    "fits": Checker("M308", judge_fits),
    "gpu_memory": Checker("M309", judge_gpu_memory),
    "adapters": Checker("M310", judge_adapters, adapters_agree),
    "master_weights": Checker("M311", judge_master_weights, master_weights_agree),
    "parameters": Checker("P401", judge_parameters),
    "trainable_parameters": Checker("P402", judge_trainable_parameters),
    "trainable_share": Checker("P403", judge_trainable_share),
    "adapted_modules": Checker("P404", judge_adapted_modules),
    "checkpoint": Checker("P405", judge_checkpoint),
    "arithmetic": Checker("A501", judge_arithmetic, arithmetic_agrees),
    "change": Checker("A502", judge_change),
    "steps": Checker("R601", judge_steps),
    "duration": Checker("R602", judge_duration),
    "cost": Checker("R603", judge_cost),
    "disk": Checker("R604", judge_disk, disk_agrees),
    "host_memory": Checker("R605", judge_host_memory),
    "speed_ratio": Checker("R606", judge_speed_ratio),
    "hyperparameter": Checker("R607", judge_hyperparameter),
    "event": Checker("R608", judge_event),
    "software": Checker("W701", judge_software),
    "quality": Checker("Q801", judge_quality),
}
