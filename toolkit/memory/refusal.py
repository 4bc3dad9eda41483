"""A row that cannot be worked out is refused by name: a missing number is better than a wrong one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from packaging.version import Version

from toolkit.memory.libraries.own_code_rules import of_megatron, of_torchtitan, of_torchtune
from toolkit.memory.libraries.packed_kernels import OF_AUTO_GPTQ
from toolkit.memory.libraries.trainers import MEGATRON, TORCHTITAN, TORCHTUNE
from toolkit.memory.libraries.transformers_versions import MASKED_BEFORE, MASKED_FROM
from toolkit.memory.libraries.unfused_attention import ALL, WIDENS_FROM, unfused
from toolkit.memory.libraries.versions import older
from toolkit.memory.weights.backward import SELECTIVE
from toolkit.memory.weights.linear_storage import AUTO_GPTQ_UNTIL, EIGHT_BIT, FOUR_BIT, GPTQ_TRAINS, working_dtype
from toolkit.memory.weights.numerics import TORCH_SOFTMAX_SAVES_LESS
from toolkit.spec.settings.setting import Setting
from toolkit.spec.settings.stack_rules import release

ENCODERS_BY_SOFTMAX = ("bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2")
"""Families that take a softmax of scores alone, beside that of a few labels; DeBERTa's is its own, which saves less."""


class UnsupportedRow(Exception):  # noqa: N818 - a refusal by name, as UnsupportedModel and UnsupportedStorage
    """A row that no formula covers for this setting. `name` is the row's, `reason` says what is not covered."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


BITSANDBYTES_MULTIPLIES_ROWS = Version("0.45")
"""Before, LLM.int8() laid its tensors out in tiles (col32, col_ampere), in copies of their own."""

PADS = ("transformers", "trl", "plain")
"""Trainers whose padded batches go through transformers as they are."""
MASKS_MADE_ALIKE = Version("5")
"""Since then one place makes the masks of all models, encoders too (transformers masking_utils.py)."""

DORA_TAKES_THE_PRODUCT = Version("0.14")
"""Before, DoRA multiplied by the weight itself, though the layer had just done so."""

GRANITE_FUSES = Version("5.14")
"""Before (5.11 and older), Granite's mixture multiplied by one expert after the other, in a module of its own."""

PEFT_FOLDS_FACTORS = Version("0.21")
"""Before, the change of all experts was made as a tensor of its own, and then added."""

TRAINABLE_STORAGE = frozenset({"fp32", "bf16", "fp16", "nf4", "fp4", "int8"})
"""Stored forms whose products in training are covered."""


AUTOAWQ_FUSES_ALIKE = (Version("0.1.4"), Version("0.1.7"))
"""From 0.1.7 models are dispatched before they are fused, with what buffers the old modules have on the GPU."""

GENERATES = frozenset({*OF_AUTO_GPTQ, "exllama", "exllamav2"})
"""Kernels of GPTQ weights without a backward pass."""

FLOATS = frozenset({"fp32", "bf16", "fp16"})


def refuse_passes(setting: Setting, family: str = "") -> None:
    """Raise where no formula follows a pass through the model: other model code, an engine, other stored forms."""
    if family == "granitemoe" and not setting.kernels.experts and older(setting, "transformers", GRANITE_FUSES):
        raise UnsupportedRow(
            "expert_states", f"no formula for Granite's experts of transformers before {GRANITE_FUSES}"
        )
    OWN_CODE.get(setting.stack.trainer, _refuse_selection)(setting)
    if setting.lora is not None and setting.lora.dora:
        _refuse_dora(setting)
    _refuse_old_softmax(setting, family)
    if setting.attention == "flash" and _in_float32(setting):
        raise UnsupportedRow("attention_states", "FlashAttention takes no float32")
    if setting.padding:
        _refuse_padding(setting, family)
    _refuse_unfused(setting)
    if setting.engine and setting.stack.trainer != "autoawq":
        raise UnsupportedRow("engine", f"no formula for {', '.join(sorted(setting.engine))} yet")
    if setting.weights in EIGHT_BIT and older(setting, "bitsandbytes", BITSANDBYTES_MULTIPLIES_ROWS):
        raise UnsupportedRow("int8_products", "no formula for LLM.int8() of bitsandbytes before 0.45")
    _refuse_kernel(setting)
    if setting.trains and setting.weights == "gptq-int4":
        _refuse_gptq(setting)
    elif setting.trains and setting.weights not in TRAINABLE_STORAGE:
        raise UnsupportedRow("dequantized_weight", f"no formula for training on {setting.weights} weights yet")


def _refuse_old_softmax(setting: Setting, family: str) -> None:
    """Raise where no formula says what softmax saves, which is its input, too: of scores, logits, routes."""
    if not setting.trains or not older(setting, "torch", TORCH_SOFTMAX_SAVES_LESS):
        return
    if setting.head != "sequence-classification" or family not in ENCODERS_BY_SOFTMAX:
        reason = f"no formula for torch before {TORCH_SOFTMAX_SAVES_LESS} except for BERT's classifiers"
        raise UnsupportedRow("log_probabilities", reason)


def refuse_warmup(setting: Setting, *, gives_all: bool) -> None:
    """Raise where no formula says what a loop over the prompt holds; `gives_all`: generation forms all logits, too."""
    for known, covered in (
        ("transformers before 4.45, or families that form the logits of all tokens to generate", gives_all),
        ("one GPU", setting.parallel.gpus == 1),
        ("a cache that grows", setting.cache is None and setting.stack.trainer in PADS),
    ):
        if not covered:
            raise UnsupportedRow("last_logits", f"no formula for a warm-up yet, except with {known}")


def _refuse_kernel(setting: Setting) -> None:
    """Raise for a kernel of GPTQ weights that no formula has, or that does not do what the setting does."""
    kernel = setting.kernels.gptq
    if kernel is None:
        return
    if setting.weights != "gptq-int4":
        raise UnsupportedRow("dequantized_weight", f"no formula for {kernel} and {setting.weights} weights yet")
    if setting.trains == (kernel in GENERATES):
        done = "only generates" if kernel in GENERATES else "is followed in training alone"
        raise UnsupportedRow("dequantized_weight", f"the kernel {kernel} {done}")
    if kernel in GENERATES - {*OF_AUTO_GPTQ} and not older(setting, "transformers", AUTO_GPTQ_UNTIL):
        raise UnsupportedRow("exllama_buffer", f"no formula for {kernel} of gptqmodel yet (transformers 4.49)")


def _refuse_gptq(setting: Setting) -> None:
    """Raise where no formula says what GPTQ weights need in training."""
    if setting.kernels.gptq not in GPTQ_TRAINS:
        known = " or ".join(GPTQ_TRAINS)
        raise UnsupportedRow("dequantized_weight", f"training beside GPTQ weights takes a kernel: kernels.gptq {known}")
    if setting.compute != "fp16":
        raise UnsupportedRow("dequantized_weight", f"no formula for GPTQ weights and {setting.compute} yet")
    if setting.lora is not None and setting.lora.dora:
        raise UnsupportedRow("dora_matrices", "no formula for DoRA beside GPTQ weights yet")


def _in_float32(setting: Setting) -> bool:
    """Whether attention is of float32: that of a quantized model is given what its weights were before, if 16 bits."""
    casts = setting.trains and setting.amp and setting.compute != "fp32"
    return working_dtype(setting) == "fp32" and not casts


def _refuse_litgpt(setting: Setting) -> None:
    """Raise where LitGPT, whose model code is its own, does what no formula covers."""
    for known, covered in _litgpt_training(setting) if setting.trains else _litgpt_generation(setting):
        if not covered:
            raise UnsupportedRow("activations", f"no formula for LitGPT yet, except in {known}")


def _refuse_torchtune(setting: Setting) -> None:
    _unless_covered("torchtune", of_torchtune(setting))


def _refuse_torchtitan(setting: Setting) -> None:
    _unless_covered("torchtitan", of_torchtitan(setting))


def _refuse_megatron(setting: Setting) -> None:
    _unless_covered("Megatron-LM", of_megatron(setting))


def _unless_covered(trainer: str, rules: Iterator[tuple[str, bool]]) -> None:
    """Raise where a trainer, whose model code is its own, does what no formula covers."""
    for known, covered in rules:
        if not covered:
            raise UnsupportedRow("activations", f"no formula for {trainer} yet, except with {known}")


def _refuse_selection(setting: Setting) -> None:
    """Raise where checkpoints of trainers that run transformers' code select what they keep."""
    if setting.gradient_checkpointing == SELECTIVE:
        raise UnsupportedRow("layer_inputs", f"no formula for selective checkpoints with {setting.stack.trainer} yet")


def _refuse_autoawq(setting: Setting) -> None:
    """Raise where AutoAWQ, whose fused modules are its own, does what no formula covers."""
    version = release(setting.stack.versions, "autoawq")
    known = version is not None and AUTOAWQ_FUSES_ALIKE[0] <= version < AUTOAWQ_FUSES_ALIKE[1]
    if not known:
        raise UnsupportedRow(
            "fused_copies", "no formula for AutoAWQ's fused modules yet, except those of 0.1.4 to 0.1.6"
        )
    room = setting.engine.get("max_new_tokens")
    for covered, condition in (
        ("weights awq-int4", setting.weights == "awq-int4"),
        ("products in fp16", setting.compute == "fp16"),
        ("generation on one GPU", setting.parallel.gpus == 1 and not setting.trains),
        ("a prompt that its cache has room for", not room or int(room) >= setting.sequence_length),
    ):
        if not condition:
            raise UnsupportedRow("activations", f"no formula for AutoAWQ yet, except with {covered}")


OWN_CODE: Mapping[str, Callable[[Setting], None]] = {
    "litgpt": _refuse_litgpt,
    TORCHTUNE: _refuse_torchtune,
    TORCHTITAN: _refuse_torchtitan,
    MEGATRON: _refuse_megatron,
    "autoawq": _refuse_autoawq,
}
"""Trainers with model code of their own."""


def _litgpt_training(setting: Setting) -> Iterator[tuple[str, bool]]:
    yield "true precision", setting.weights in (*FOUR_BIT, "bf16", "fp32") and not setting.amp
    alone = setting.parallel.gpus == 1 and setting.gradient_checkpointing == "false"
    shared = setting.gradient_checkpointing == "non-reentrant" and setting.weights not in FOUR_BIT
    yield "one GPU without checkpoints, or fsdp with them", alone or (setting.parallel.strategy == "fsdp" and shared)
    outside = setting.lora is None or "lm_head" not in setting.lora.targets
    yield "adapters inside of blocks under fsdp", alone or outside
    yield "LoRA without DoRA", setting.lora is None or not setting.lora.dora


def _litgpt_generation(setting: Setting) -> Iterator[tuple[str, bool]]:
    """What `litgpt generate` does. Of 8-bit weights, and of 4-bit ones in float16, loading is the peak."""
    four_bit = setting.weights in FOUR_BIT and setting.compute == "bf16"
    yield "float weights or 4-bit ones in bfloat16", four_bit or setting.weights in FLOATS
    yield "generation on one GPU", setting.parallel.gpus == 1
    yield "generation of one sequence", setting.batch_size == 1
    yield "generation with sdpa", setting.attention == "sdpa"


def _refuse_padding(setting: Setting, family: str) -> None:
    """Raise where no formula says what the masks of padded rows take."""
    if setting.stack.trainer not in PADS:
        raise UnsupportedRow("attention_mask", f"no formula for padded rows with {setting.stack.trainer} yet")
    since = MASKED_FROM.get(family)
    early = since is not None and older(setting, "transformers", since)
    followed = setting.attention != "flash" and family in MASKED_BEFORE and not early
    if older(setting, "transformers", MASKS_MADE_ALIKE) and not followed:
        how = f"{setting.attention} attention to padded rows of {family} with transformers before 5"
        raise UnsupportedRow("attention_mask", f"no formula for {how} yet")


def _refuse_unfused(setting: Setting) -> None:
    """Raise where what sdpa writes out is of 16 bits."""
    if unfused(setting) == ALL and older(setting, "torch", WIDENS_FROM):
        reason = f"no formula for sdpa of bfloat16 by torch before {WIDENS_FROM} on {setting.gpu} yet"
        raise UnsupportedRow("attention_scores", reason)


def _refuse_dora(setting: Setting) -> None:
    """Raise where no formula says what DoRA holds in a pass."""
    if older(setting, "peft", DORA_TAKES_THE_PRODUCT):
        raise UnsupportedRow("dora_matrices", "no formula for a pass with DoRA of peft before 0.14 yet")
    if setting.trains and setting.parallel.strategy not in ("none", "ddp"):
        raise UnsupportedRow("dora_matrices", f"no formula for DoRA with {setting.parallel.strategy} yet")


def refuse_expert_adapters(setting: Setting) -> None:
    """Raise where no formula says what adapters of fused experts hold in a pass."""
    if older(setting, "peft", PEFT_FOLDS_FACTORS):
        raise UnsupportedRow("merged_experts", "no formula for adapters of fused experts of peft before 0.21 yet")
    if setting.parallel.strategy not in ("none", "ddp"):
        raise UnsupportedRow(
            "merged_experts", f"no formula for adapters of fused experts with {setting.parallel.strategy} yet"
        )
