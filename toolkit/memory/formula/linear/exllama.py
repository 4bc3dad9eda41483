"""The buffers of ExLlama's kernels for 4-bit GPTQ weights, as auto-gptq sets them up.

Sources: auto-gptq 0.4 to 0.7, modeling/_utils.py (autogptq_post_init) and nn_modules/qlinear/qlinear_exllamav2.py.
transformers took the first version by default (utils/quantization_config.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.memory.allocator.caching import SMALL_REQUEST, segment_size
from toolkit.memory.architecture import Module
from toolkit.memory.context import Context
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.versions import older
from toolkit.memory.size import BYTES
from toolkit.memory.weights.linear_storage import AUTO_GPTQ_UNTIL
from toolkit.memory.weights.quantization import LINEARS, ROUTERS
from toolkit.memory.weights.storage import ALLOCATION
from toolkit.spec.settings.setting import Setting

FIRST, SECOND = "exllama", "exllamav2"
TOKENS, SEQUENCES = 2048, 8
"""The longest input and the largest batch that the buffers are made for: auto-gptq's defaults."""
END = 128
"""Bytes that ExLlamaV2 adds to each of its two regions."""

HALF, FLOAT = BYTES["fp16"], BYTES["fp32"]


def kernel_of(setting: Setting) -> str:
    """The kernel that multiplies by a setting's weights if it is one of ExLlama's, else ""."""
    if setting.weights != "gptq-int4" or setting.trains or setting.stack.trainer == "vllm":
        return ""
    if not older(setting, "transformers", AUTO_GPTQ_UNTIL):
        return ""
    return setting.kernels.gptq or FIRST


def exllama_buffer(context: Context, _: PhaseName) -> int:
    """A buffer for the largest weight in float16; in the second version also for its widest product in float32.

    ExLlamaV2 takes both from one region, as large as the most that a layer requests.
    """
    kernel = kernel_of(context.setting)
    if kernel == FIRST:
        return _rounded(max((m.in_features * m.out_features * HALF for m in _packed(context)), default=0))
    return _rounded(max(map(_region, _packed(context)), default=0)) if kernel == SECOND else 0


def exllama_state(context: Context, _: PhaseName) -> int:
    """The inputs of a product in the order of their groups, in the first version: a row for each of 2,048 tokens."""
    if kernel_of(context.setting) != FIRST or not context.setting.desc_act:
        return 0
    widest = max((max(m.in_features, m.out_features) for m in _packed(context)), default=0)
    return _rounded(TOKENS * widest * HALF)


def exllama_order(context: Context, _: PhaseName) -> int:
    """The order of a layer's inputs and its inverse as int16, in the second version, where a layer has several groups.

    ExLlamaV2 checks only whether all inputs are in the first group, not whether the groups are mixed.
    """
    setting = context.setting
    if kernel_of(setting) != SECOND or setting.group_size < 1:
        return 0
    several = (m for m in _packed(context) if m.in_features > setting.group_size)
    return sum(2 * m.count * _rounded(m.in_features * HALF) for m in several)


def unsplit_end(context: Context) -> int:
    """The end of the buffer's block that the allocator does not split off."""
    size = exllama_buffer(context, PhaseName.LOAD)
    rest = segment_size(size) - size if size > SMALL_REQUEST else 0
    return rest if rest <= SMALL_REQUEST else 0


def _region(module: Module) -> int:
    weight = module.in_features * module.out_features * HALF + END
    return weight + module.out_features * TOKENS * SEQUENCES * FLOAT + END


def _packed(context: Context) -> Iterator[Module]:
    return (m for m in context.architecture.modules if m.kind in LINEARS and m.leaf not in ROUTERS)


def _rounded(size: int) -> int:
    return -(-size // ALLOCATION) * ALLOCATION
