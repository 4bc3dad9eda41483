"""Liger's Triton kernels that replace parts of a decoder: RMSNorm, and the product in a gated feed-forward.

Its rotary kernel rotates queries and keys in place, as Unsloth's does (triton_kernels.py). Sources: liger_kernel
ops/rms_norm.py, ops/rope.py, ops/swiglu.py, ops/geglu.py and transformers/monkey_patch.py (0.8.0), which patches the
classes before a model is made. Patched into an existing model, Liger does not replace norms of queries and keys.
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
"""Families whose norms, positions and feed-forwards Liger all replaces; the formulas are compared with its code."""

PATCHED = frozenset(
    {
        "exaone4", "falcon_h1", "gemma4_text", "hunyuan_v1_dense", "hunyuan_v1_moe", "llama4_text", "ministral",
        "nemotron", "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next",
    }
)  # fmt: skip
"""Other families that Liger knows (MODEL_TYPE_TO_APPLY_LIGER_FN). Unknown families run their own code."""

KEEPS_GRADIENTS = frozenset({"gemma2", "gemma3", "gemma3_text", "glm4", "olmo2", "olmo3"})
"""Families whose norms do not overwrite the gradient (LigerRMSNormForGemma2, -Gemma3, -Olmo2, -Glm4)."""

OWN_ROTARY = frozenset({"glm4"})
"""Families whose rotary embedding Liger does not replace (apply_liger_kernel_to_glm4, rope=False)."""

OWN_EXPERTS = frozenset({"gpt_oss"})
"""Families whose experts Liger does not replace (apply_liger_kernel_to_gpt_oss)."""

LEFT_IN_A_MODEL = frozenset({"olmo2", "olmo3", "qwen3", "qwen3_moe"})
"""Families whose norms of queries and keys Liger does not replace in an existing model (monkey_patch.py)."""


PUT_INTO_MODELS = ("transformers", "trl")
"""Trainers whose use_liger_kernel patches an existing model (transformers integrations/liger.py)."""


def liger_notes(family: str, setting: Setting) -> Iterator[str]:
    """A note where it matters whether the kernels are patched in before the model is made or into an existing one."""
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
    """Whether Liger's kernels replace parts of a family; refuses by name families in which they are not followed."""
    if family in PATCHED:
        raise UnsupportedRow(
            "activations",
            f"no formula for Liger's kernels in {family} yet: without kernels.liger its own code is followed",
        )
    return family in FAMILIES


def liger_norm(tape: Tape, x: Buffer, rows: int, *, in_place: bool) -> Buffer:
    """LigerRMSNormFunction: saves its input, its weight and a float32 number for each of a token's `rows`.

    Its gradient overwrites the incoming one, or is a new tensor. The weight's gradient is summed per multiprocessor,
    which takes one row each.
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

    Backward recomputes the activation, and overwrites both with their gradients.
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
