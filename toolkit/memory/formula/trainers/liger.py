"""Liger's Triton kernels that stand in for parts of a decoder: RMSNorm, and what a gated feed-forward multiplies.

Its kernel for positions turns queries and keys in place, as Unsloth's does (triton_kernels.py). Sources: liger_kernel
ops/rms_norm.py, ops/rope.py, ops/swiglu.py, ops/geglu.py and transformers/monkey_patch.py (0.8.0), as it changes the
classes before a model is made. Put into a model that is there, it leaves norms of queries and keys as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.memory.formula.operations import Given, widened
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape
from toolkit.spec.settings.setting import Setting

NORM = "norm_states"
PRODUCT = "feed_forward_states"

FAMILIES = frozenset(
    {
        "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gemma3_text", "glm4", "gpt_oss", "granite",
        "mixtral", "olmo2", "olmo3", "phi3", "qwen3_moe", "smollm3",
    }
)  # fmt: skip
"""Families all of whose norms, positions and feed-forwards it takes over, and that are compared with its code."""

PATCHED = frozenset(
    {
        "exaone4", "falcon_h1", "gemma4_text", "hunyuan_v1_dense", "hunyuan_v1_moe", "llama4_text", "ministral",
        "nemotron", "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next",
    }
)  # fmt: skip
"""Others that it knows (MODEL_TYPE_TO_APPLY_LIGER_FN). What it does not know runs by its own code."""

KEEPS_GRADIENTS = frozenset({"gemma2", "gemma3", "gemma3_text", "glm4", "olmo2", "olmo3"})
"""Families whose norms write over no gradient (LigerRMSNormForGemma2, -Gemma3, -Olmo2, -Glm4)."""

OWN_ROTARY = frozenset({"glm4"})
"""Families whose positions it leaves to their own code (apply_liger_kernel_to_glm4, rope=False)."""

OWN_EXPERTS = frozenset({"gpt_oss"})
"""Families whose experts it leaves to their own code (apply_liger_kernel_to_gpt_oss)."""

LEFT_IN_A_MODEL = frozenset({"olmo2", "olmo3", "qwen3", "qwen3_moe"})
"""Families whose norms of queries and keys it does not change in a model that is there (monkey_patch.py)."""


PUT_INTO_MODELS = ("transformers", "trl")
"""Trainers whose use_liger_kernel changes a model that is there (transformers integrations/liger.py)."""


def liger_notes(family: str, setting: Setting) -> Iterator[str]:
    """Where it matters whether the kernels were put in before a model is made, as is followed, or into one there is."""
    keeps = setting.trains and setting.gradient_checkpointing == "false"
    if (
        setting.kernels.liger is True
        and setting.stack.trainer in PUT_INTO_MODELS
        and family in LEFT_IN_A_MODEL
        and keeps
    ):
        yield (
            "Liger: put in before the model is made; use_liger_kernel of Trainer and TRL puts it into a model that is"
            " there, which leaves norms of queries and keys and needs more: for that say kernels.liger: instance"
        )


def takes_over(family: str) -> bool:
    """Whether Liger's kernels stand in for parts of a family; refuses by name those in which they are not followed."""
    if family in PATCHED:
        raise UnsupportedRow(
            "activations",
            f"no formula for Liger's kernels in {family} yet: without kernels.liger its own code is followed",
        )
    return family in FAMILIES


def liger_norm(tape: Tape, x: Buffer, rows: int, *, in_place: bool) -> Buffer:
    """LigerRMSNormFunction: saves its input, its weight and a float32 number for each of a token's `rows`.

    Its gradient is written over the one that comes in, or put into a new tensor. That of the weight is summed up by
    multiprocessor, which takes a row each.
    """
    result = tape.new(NORM, x.width, x.dtype, grad=x.grad, size=x.size)
    inverse = tape.new(NORM, rows, "fp32", size=widened(x, rows, "fp32"))
    saved = tape.save(x, inverse, constants=1) if x.grad else ()

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(x, tape.share(gradient, x) if in_place else tape.gradient(x))]

    tape.node(result, backward, saved)
    tape.drop(inverse)
    return result


def liger_product(tape: Tape, gate: Buffer, up: Buffer) -> Buffer:
    """LigerSiLUMulFunction, LigerGELUMulFunction: act(gate) * up in one tensor; saves both.

    Backward works the activation out again, and writes the gradients of both over them.
    """
    needs = gate.grad or up.grad
    result = tape.new(PRODUCT, gate.width, gate.dtype, grad=needs, size=gate.size)
    saved = tape.save(gate, up) if needs else ()

    def backward(_tape: Tape, _: Buffer) -> Given:
        given = [part for part in (gate, up) if part.grad]
        for part in given:
            part.references += 1
        return [(part, part) for part in given]

    return tape.node(result, backward, saved)
