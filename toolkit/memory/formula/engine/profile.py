"""The peak of vLLM's profile run on top of the weights: a pass over many tokens, then sampling for many sequences.

Sources: vllm worker/model_runner.py (profile_run), v1/worker/gpu_model_runner.py (profile_run, _dummy_run,
_dummy_sampler_run), model_executor/layers/sampler.py, v1/sample/sampler.py and ops/topk_topp_sampler.py,
model_executor/models/llama.py, model_executor/layers/quantization/bitsandbytes.py and utils/w8a8_utils.py there,
csrc/quantization/cutlass_w8a8/scaled_mm_entry.cu; torch aten/src/ATen/native/cuda/SortStable.cu and CUB's radix sorts.
"""

from __future__ import annotations

from packaging.version import Version

from toolkit.facts.gpu import Card
from toolkit.memory.architecture import LayerKind
from toolkit.memory.context import Context
from toolkit.memory.engines.limits import ROW, Limits, limits_of
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.memory.weights.sums import OF_IMAGES
from toolkit.spec.settings.stack_rules import release

Interval = tuple[int, int]

FORMS = frozenset({"fp32", "bf16", "fp16", "fp8", "nf4", "gptq-int4", "gptq-int8", "awq-int4", "mxfp4"})

SEGMENTED = 128
"""Rows from which torch sorts each row by itself; fewer rows are sorted together, once by value and once by row."""

WHOLE_SORTS = 1_000_000
"""Columns from which torch sorts one row after the other."""

RANDOM_FROM = Version("0.9")
"""Since then the newer engine samples from random states, which exist beside those of the last tokens."""
HELD_UNTIL, HELD_FROM = Version("0.9.0.1"), Version("0.9.2")
"""Up to the first release it freed the pass's result before it sampled; from the second it does not."""

SORTS_FROM, SORTS_UNTIL = Version("0.12"), Version("0.13")
"""Releases that sort with torch by default. Before, FlashInfer sampled where it was installed; 0.19 has its own kernel,
and releases shortly before it may have one."""

ADA, ADA_KERNELS_FROM = "sm_89", Version("0.8")
"""Kernels of 8-bit products for Ada need CUDA 12.4 (cutlass_scaled_mm_supports_fp8), with which wheels are built since
pull request 12098: after 0.6.6, and before 0.8."""

UNSORTED = 10
"""The least bytes per logit of a sampler that does not sort: 16-bit logits, float32 ones and their softmax."""


def profile_run(context: Context, card: Card, longest: int) -> Interval:
    """The least and the most of live tensors on top of the weights, in bytes. Raises UnsupportedRow by name.

    The older engine runs its layers eagerly. The newer one compiles them, which may free tensors earlier than the code
    does, and may sample without sorting.
    """
    _refuse(context)
    windowed = any(kind.attention.window is not None for kind in context.architecture.layers)
    limits = limits_of(context.setting, card, longest, windowed=windowed)
    passes = [layer_bytes(context, kind, limits) for kind in context.architecture.layers]
    low, high = (max(ends) for ends in zip(*passes, sampling_bytes(context, limits), strict=True))
    if _lacks_kernels(context, card):
        high = max(high, *(_in_float32(context, kind, limits) for kind in context.architecture.layers))
    return low + context.workspace, high + context.workspace


def _refuse(context: Context) -> None:
    """Raise where no formula follows the pass: other layers, encoders of images, other kernels."""
    if context.setting.weights not in FORMS:
        raise UnsupportedRow(ROW, f"no formula for what vLLM's kernels for {context.setting.weights} take")
    if any(OF_IMAGES & set(module.path.split(".")) for module in context.architecture.modules):
        raise UnsupportedRow(ROW, "no formula for how vLLM profiles encoders of images and sounds")
    if context.setting.weights == "nf4" and context.setting.compute != "bf16":
        raise UnsupportedRow(ROW, "no formula for the copies in bf16 that vLLM's 4-bit linears take yet")
    for kind in context.architecture.layers:
        plain = kind.feed_forward.gated or not kind.feed_forward.experts
        if kind.mixer is not None or kind.attention.latent_rank is not None or kind.cross_attention or not plain:
            raise UnsupportedRow(ROW, f"no formula for the layers of {context.architecture.family} in vLLM")


def layer_bytes(context: Context, kind: LayerKind, limits: Limits) -> Interval:
    """A layer at its fullest: in attention, or in the feed-forward, whose gate and up are one product.

    Beside these are the residual stream, the layer's input, and its result.
    """
    hidden, attention = context.architecture.hidden, kind.attention
    queries = attention.query_heads * attention.head_dim
    keys = attention.key_value_heads * (attention.head_dim + attention.value_head_dim)
    attended = (hidden + 2 * queries + keys, 3 * hidden + 2 * queries + keys)
    least, most = (max(ends) for ends in zip(attended, _feed_forward(context, kind), strict=True))
    if context.setting.weights == "fp8":  # inputs of products in 8 bits, where the kernels take such
        most += (hidden + kind.feed_forward.intermediate) // 2
    if limits.newer and not context.setting.engine.get("enforce_eager"):
        most = max(most, 3 * hidden + 3 * queries + 2 * keys)  # compiled, rotary embedding makes new tensors
    elif kind.feed_forward.gated and not kind.feed_forward.experts:
        least = most
    each = limits.tokens * BYTES[context.setting.compute]
    if context.setting.weights == "nf4":
        return _written_out(context, kind, each, (least, most))
    return each * least, each * most


def _written_out(context: Context, kind: LayerKind, each: int, elements: Interval) -> Interval:
    """The same for 4-bit linears, which dequantize their weight and copy their result into a preallocated tensor.

    At the first product of a layer's half that tensor is beside the half's input, at the last one beside its result.
    """
    hidden, attention = context.architecture.hidden, kind.attention
    widths = kind.feed_forward.intermediate, attention.query_heads * attention.head_dim
    written = [hidden * width * BYTES[context.setting.compute] for width in widths]
    plain = [each * (count + hidden) for count in elements]
    return plain[0] + min(written), plain[1] + max(written)


def _lacks_kernels(context: Context, card: Card) -> bool:
    """Whether torch may do products of 8-bit weights, for want of a kernel of vLLM's own."""
    version = release(context.setting.stack.versions, "vllm")
    old = version is not None and version < ADA_KERNELS_FROM
    return old and context.setting.weights == "fp8" and any(one.architecture == ADA for one in card.members)


def _in_float32(context: Context, kind: LayerKind, limits: Limits) -> int:
    """A layer whose scales are of channels: torch's product is in float32, and is scaled by rows, then by columns.

    Neither is in place (torch_channelwise_w8a8_scaled_mm): gate and up, which are one product, are there three times,
    beside the residual stream, the layer's input and its copy in 8 bits. Experts have kernels of their own.
    """
    hidden, attention, form = context.architecture.hidden, kind.attention, kind.feed_forward
    wide = attention.query_heads * attention.head_dim + attention.key_value_heads * (
        attention.head_dim + attention.value_head_dim
    )
    product = max(wide, 0 if form.experts else form.intermediate * (2 if form.gated else 1))
    return limits.tokens * (3 * 4 * product + hidden * (2 * BYTES[context.setting.compute] + 1))


def _feed_forward(context: Context, kind: LayerKind) -> Interval:
    """Elements per token. A mixture runs every token once for each of its chosen experts.

    Without a gate there is one product fewer, and the residual stream may be added elsewhere. A mixture's products
    share one buffer since 0.8 (fused_moe.py, cache13), and had separate ones before.
    """
    hidden, form = context.architecture.hidden, kind.feed_forward
    width = form.intermediate
    if not form.gated:
        return hidden + 2 * width, 4 * hidden + 2 * width
    if not form.experts:
        return hidden + 3 * width, 3 * hidden + 3 * width
    chosen = form.experts_per_token
    shared = 3 * form.shared_intermediate
    return hidden + chosen * (max(2 * width, hidden) + width), (
        4 * hidden + chosen * (3 * width + hidden) + form.experts + shared
    )


def sampling_bytes(context: Context, limits: Limits) -> Interval:
    """Logits of every sequence's last token, in the model's dtype and in float32, sorted to keep the likely ones.

    torch's sort makes values and 64-bit indices; of many rows it makes a third array of indices, of few two arrays of
    indices with rows and one of values; and CUB's sorts need as much again as they sort.
    """
    bytes_each, hidden = BYTES[context.setting.compute], context.architecture.hidden
    rows, columns = limits.sequences, context.architecture.vocabulary
    logits = rows * columns
    passed, last = (count * hidden * bytes_each for count in (limits.tokens, rows))
    if not limits.newer:
        whole = passed + logits * (bytes_each + 4) + sort_bytes(rows, columns)
        return whole, whole
    version = release(context.setting.stack.versions, "vllm")
    assert version is not None, "limits_of asks for it"
    whole = logits * (bytes_each + 4) + sort_bytes(rows, columns)
    held = _held(version, passed, last)
    sorts = SORTS_FROM <= version < SORTS_UNTIL
    return held[0] + (whole if sorts else logits * UNSORTED), held[1] + whole


def _held(version: Version, passed: int, last: int) -> Interval:
    """The pass's tensors while the newer engine samples: its result, the last tokens' states, and random states."""
    if version < RANDOM_FROM:
        return last, last
    least = 2 * last if version < HELD_FROM else passed + 2 * last
    return least, 2 * last if version <= HELD_UNTIL else passed + 2 * last


def sort_bytes(rows: int, columns: int) -> int:
    """What torch.sort takes for so many rows of float32 on a GPU: its results and its work buffers."""
    results, pair = 4 + 8, 4 + 8
    if rows == 1 or columns >= WHOLE_SORTS:
        return rows * columns * results + columns * (8 + pair)
    if rows < SEGMENTED:
        return rows * columns * (results + 8 + 8 + 4 + pair)
    return rows * columns * (results + 8 + pair)
