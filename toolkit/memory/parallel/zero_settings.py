"""DeepSpeed's sizes for ZeRO: as a config says them, else its own defaults or what transformers writes for `auto`.

Sources: deepspeed runtime/zero/config.py (0.19); transformers integrations/deepspeed.py, trainer_config_finalize.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.memory.libraries.versions import older
from toolkit.memory.weights.sums import Sums
from toolkit.spec.settings.setting import Setting, Zero

ALLOCATES_LATE = Version("0.17.2")
"""DeepSpeed pull request 6993: buffers come with the first gradient; before that, as backward starts."""

REMEMBERS_FROM, FORGETS_FROM = Version("0.8.2"), Version("0.17.1")
"""Between them every weight refers to the gradients of the first step that overflows (tensor_fragment.py,
gradient_dict), which the optimizer skips and forgets (stage_1_and_2.py, step). Pull request 6976 lets go of them."""

JOINS_FROM = Version("0.12.4")
"""DeepSpeed pull request 4695: what is in a buffer is joined anew for one reduction. Before, it is reduced in place."""

DEFAULTS: Mapping[str, int] = {
    "reduce_bucket_size": 500_000_000,
    "prefetch_bucket_size": 50_000_000,
    "param_persistence_threshold": 100_000,
    "max_live_parameters": 1_000_000_000,
    "max_reuse_distance": 1_000_000_000,
    "sub_group_size": 1_000_000_000,
}

AUTO: Mapping[str, Callable[[int], int]] = {
    "reduce_bucket_size": lambda hidden: hidden * hidden,
    "prefetch_bucket_size": lambda hidden: int(0.9 * hidden * hidden),
    "param_persistence_threshold": lambda hidden: 10 * hidden,
}
"""What transformers writes for `auto`, by the hidden width; other sizes have no such value."""


@frozen
class Sizes:
    """Every size decided, in elements; `buffers` are those for gradients that are being reduced.

    `alone` says that one GPU has all parts: what it gathers comes from main memory, each weight by itself.
    """

    reduce_bucket_size: int
    prefetch_bucket_size: int
    param_persistence_threshold: int
    max_live_parameters: int
    max_reuse_distance: int
    sub_group_size: int
    buffers: int
    alone: bool = False


def sizes_of(setting: Setting, hidden: int) -> Sizes:
    """The sizes of a setting's model. ZeRO 3 overlaps with one buffer, ZeRO 1 and 2 with two and not by default."""
    zero = setting.parallel.zero or Zero()
    decided: dict[str, int] = {}
    for name, default in DEFAULTS.items():
        said = getattr(zero, name)
        usual = AUTO[name](hidden) if zero.buckets == "auto" and name in AUTO else default
        decided[name] = usual if said is None else said
    contiguous = zero.contiguous_gradients or bool(setting.parallel.offload and stage_of(setting) < 3)
    doubles = stage_of(setting) < 3 and zero.overlap_comm is True
    return Sizes(**decided, buffers=(1 + doubles) if contiguous else 0, alone=setting.parallel.gpus == 1)


def stage_of(setting: Setting) -> int:
    """ZeRO's stage: 1, 2 or 3."""
    return int(setting.parallel.strategy.removeprefix("zero"))


def makes_buffers_early(setting: Setting) -> bool:
    """Whether ZeRO 1 and 2 have their buffers for gradients before the loss runs backward."""
    return older(setting, "deepspeed", ALLOCATES_LATE)


def keeps_skipped(setting: Setting) -> bool:
    """Whether the gradients of a step that is skipped stay: float16's first ones overflow by a loss scaled by 2^16."""
    remembers = older(setting, "deepspeed", FORGETS_FROM) and not older(setting, "deepspeed", REMEMBERS_FROM)
    return remembers and setting.compute == "fp16" and not setting.parallel.offload and stage_of(setting) < 3


def overlaps(setting: Setting) -> bool:
    """Whether GPUs exchange while they compute: by default with ZeRO 3 alone."""
    said = (setting.parallel.zero or Zero()).overlap_comm
    return said is not False if stage_of(setting) == 3 else said is True


def joined(whole: Sums, sizes: Sizes, setting: Setting) -> int:
    """Elements of the gradients that are joined to be reduced: of a buffer, or of a weight that is larger than one.

    Source: deepspeed runtime/zero/stage_1_and_2.py, average_tensor and allreduce_bucket; runtime/comm/
    coalesced_collectives.py, reduce_scatter_coalesced.
    """
    inside = min(sizes.reduce_bucket_size, whole.elements)
    if stage_of(setting) == 3:
        return inside
    if sizes.buffers and older(setting, "deepspeed", JOINS_FROM):
        return 0
    return max(inside, whole.largest)
