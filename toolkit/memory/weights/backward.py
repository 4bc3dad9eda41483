"""What a run's backward pass depends on: which gradients flow, how long they live, and what checkpoints keep."""

from __future__ import annotations

from packaging.version import Version

from toolkit.memory.libraries.trainers import MEGATRON, TORCHTITAN, TORCHTUNE
from toolkit.memory.libraries.versions import older
from toolkit.spec.fields import names
from toolkit.spec.settings.setting import Setting

SELECTIVE = "selective"
"""Checkpoints that keep the results of some operations."""
TO_THE_END = ", to the end"
"""Ends the name of a form of checkpoints that run a layer again to its end, past the last tensor backward needs."""
TORCHTITAN_STOPS_LATE = Version("0.2")
"""torchtitan/config/job_config.py, early_stop; before, torch's default applied, which stops early."""
TRAINS_INPUTS = frozenset({"full", "p_tuning", "prompt_tuning", "trainable_tokens"})
"""Methods that train what the first layer is given."""
TORCH_FREES_GRADIENTS = Version("2.0")
"""Before, zero_grad filled gradients with zeros and kept them for the next pass (torch/nn/modules)."""
ADAMW_STEPS = {"foreach": 1, "for-loop": 2}
"""Tensors of a parameter's size in a step of AdamW: the second moment's root, and for-loop its quotient as well.

Source: torch/optim/adamw.py.
"""
LOMO_STEPS = {"lomo": (0, 3), "adalomo": (2, 5)}
"""Tensors of a gradient's size that a step needs beside it: of float32 parameters, and of 16-bit ones.

LOMO makes a float32 gradient, frees the other, and makes a float32 parameter: 8 bytes an element. AdaLomo has the
square of the gradient and its sum with a constant beside it. Source: lomo_optim 0.1.1, lomo.py and adalomo.py.
"""


def gives_first_gradient(setting: Setting) -> bool:
    """Whether a gradient flows to the first layer's input.

    It does where that input is trained, and where checkpoints make embeddings require a gradient, as reentrant ones
    need; torchtune does not.
    """
    checkpoints = setting.gradient_checkpointing != "false"
    return setting.method in TRAINS_INPUTS or (checkpoints and setting.stack.trainer != TORCHTUNE)


def checkpoint_form(setting: Setting) -> str:
    """The form of checkpoints; it ends in `TO_THE_END` where a recomputed layer does not stop early."""
    form = setting.gradient_checkpointing
    if not setting.trains or form == "false":
        return "false"
    lasts = setting.stack.trainer == TORCHTITAN and not older(setting, TORCHTITAN, TORCHTITAN_STOPS_LATE)
    return form + TO_THE_END if lasts else form


def accumulates(setting: Setting) -> bool:
    """Whether each gradient is freed during backward: added to that of earlier micro-batches, or stepped with at once.

    Before torch 2.0 zero_grad left zeros, to which every pass adds; so does Megatron-LM's buffer of all gradients
    (megatron/core/distributed/param_and_grad_buffer.py).
    """
    buffer = setting.stack.trainer == MEGATRON
    stays = setting.gradient_accumulation > 1 or buffer or older(setting, "torch", TORCH_FREES_GRADIENTS)
    return setting.trains and (stays or setting.optimizer_in_backward)


def flattens_frozen(setting: Setting) -> bool:
    """Whether frozen weights share flat parameters with adapters, so that backward makes gradients of them as well.

    LitGPT makes every block a unit as it is (finetune/lora.py, auto_wrap_policy). A module's weights are views of the
    flat parameter, all of which require gradients as soon as one part does (torch/distributed/fsdp/_flat_param.py,
    _use_unsharded_views; wrap.py, _validate_frozen_params, warns of it).
    """
    shares = setting.stack.trainer == "litgpt" and setting.parallel.strategy == "fsdp"
    return shares and setting.trains and setting.lora is not None


def steps_in_backward(setting: Setting) -> int | None:
    """The tensors of a parameter's size that an optimizer's step inside backward takes; None without such steps."""
    if not (setting.trains and setting.optimizer_in_backward):
        return None
    if setting.optimizer in names.LOMO:
        return LOMO_STEPS[setting.optimizer][setting.gradients != "fp32"]
    return ADAMW_STEPS.get(setting.optimizer_implementation, 0) if setting.optimizer == "adamw" else 0
