"""fully_shard (FSDP2): every tensor is cut along its rows, and a layer's are gathered and reduced together.

Sources: torch/distributed/fsdp/_fully_shard/_fsdp_param.py (padding of rows), _fsdp_param_group.py (unshard,
wait_for_unshard, post_backward) and _fsdp_collectives.py of torch 2.13; accelerate utils/fsdp_utils.py,
fsdp2_prepare_model, for what is a unit of its own.
"""

from __future__ import annotations

from dataclasses import fields, replace

from packaging.version import Version

from toolkit.memory.architecture import Architecture
from toolkit.memory.libraries.losses import TILES, loss_of
from toolkit.memory.libraries.trainers import LOOPS_IN_TORCH, TORCHTITAN, TORCHTUNE, TRL
from toolkit.memory.libraries.versions import older
from toolkit.memory.parallel.shard_moments import Shards
from toolkit.memory.parallel.shard_rows import Rows, part_of
from toolkit.memory.parallel.unlike_shards import Layer, UnlikeShards
from toolkit.memory.programs.layer_order import is_ordered
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.memory.weights.numerics import numerics
from toolkit.memory.weights.sums import Sums
from toolkit.spec.settings.setting import Setting

ENDS_APART = Version("1.14")
"""accelerate pull request 4015: embedding and end of the model are units, which the root held before."""

TITAN_ENDS_APART = Version("0.2")
"""torchtitan/models/llama3/infra/parallelize.py, apply_fsdp: so are they since, and the end is not freed in between."""


def shard_parts(rows: Rows, whole: Sums, setting: Setting) -> Sums:
    """The sums of one GPU's parts; with offloading they are in main memory, where the optimizer runs."""
    if setting.parallel.offload:
        return replace(
            whole, trained=(), elements=0, largest=0, adapters=0, copies=0, weights=rows.whole, unsplit=0, rounding=0
        )
    gpus = setting.parallel.gpus
    trained = tuple(replace(one, shape=(part_of(one.shape, gpus),)) for one in whole.trained)
    elements = sum(one.elements * one.count for one in trained)
    idle = whole.adapters - (whole.elements - whole.copies)  # adapters that no gradient reaches
    return replace(
        whole,
        trained=trained,
        elements=elements,
        largest=max((one.elements for one in trained), default=0),
        adapters=0 if setting.method == "full" else elements - (-idle // gpus),
        copies=0,
        weights=rows.held,
        rounding=rows.rounding,
        unsplit=0,
        upcast=0,
    )


def shard_sharing(
    architecture: Architecture, rows: Rows, whole: Sums, mine: Sums, setting: Setting, computing: Setting
) -> Shards:
    """What a step gathers and reduces, in the dtypes in which a GPU computes."""
    gpus, item = setting.parallel.gpus, BYTES[computing.gradients]
    reduced = _reduced_item(setting, item)
    kept = 0 if setting.parallel.offload else BYTES[setting.gradients]
    apart = _ends_apart(setting) and not architecture.tied
    embedding, end, layer = rows.embedding, rows.end, rows.layer
    around = embedding.trained + end.trained
    if setting.method != "full" and (around or whole.copies) and setting.stack.trainer not in LOOPS_IN_TORCH:
        what = "copies of modules beside adapters" if whole.copies else "adapters outside of layers"
        raise UnsupportedRow("parallel", f"no formula for {what} with fsdp2 yet")
    accumulates = setting.gradient_accumulation > 1
    last = embedding.trained + (0 if apart else end.trained)  # what is reduced after all else
    alike = Shards(
        root=0 if apart else embedding.bytes + end.bytes,
        embedding=embedding.bytes if apart else 0,
        end=end.bytes if apart else 0,
        layer=layer.bytes,
        layers=len(rows.layers),
        reshards=setting.parallel.reshard_after_forward,
        reduced=layer.trained * reduced,
        part=layer.trained // gpus * kept,
        apart=_ends_apart(setting),
        end_part=end.trained // gpus * kept if apart else 0,
        end_sum=end.trained // gpus * reduced if apart and kept != reduced else 0,
        last_part=last // gpus * kept,
        last_sum=last // gpus * reduced if kept != reduced else 0,
        beside=rows.beside * item,
        end_last=rows.last * item if around else 0,
        trains=around > 0,
        whole=whole.elements * item if accumulates and _syncs_last(setting) else 0,
        earlier=sum(one.elements * one.count for one in mine.trained) * kept
        if accumulates and not _syncs_last(setting)
        else 0,
        widens=reduced // item,
        repeats=setting.gradient_accumulation > 2,
        loss_outside=setting.stack.trainer in (TORCHTITAN, TORCHTUNE),
        stays=layer.bytes if setting.parallel.reshard_after_forward and _keeps_last(setting) else 0,
        again=around > 0 or numerics(computing).first_grad,
        joined=_reads_output(setting),
        by_loss=_reads_output(setting) and setting.method != "full" and apart,
    )
    if not _are_unlike(architecture, rows, setting):
        return alike
    each = tuple(Layer(one.bytes, one.trained * reduced, one.trained // gpus * kept) for one in rows.layers)
    return UnlikeShards(**{one.name: getattr(alike, one.name) for one in fields(alike)}, each=each)


def _are_unlike(architecture: Architecture, rows: Rows, setting: Setting) -> bool:
    """Whether layers differ in size and it is known which is where, as the moments of each are looked at then."""
    orders = is_ordered(architecture.layers, architecture.order) and len(architecture.order) == len(rows.layers)
    return orders and len(set(rows.layers)) > 1 and not setting.activation_offloading


def _reads_output(setting: Setting) -> bool:
    """Whether the loss multiplies by the output weight outside its module: TRL's (trainer/utils.py, _fused_forward)."""
    return setting.stack.trainer in TRL and loss_of(setting) in TILES


def _syncs_last(setting: Setting) -> bool:
    """Whether gradients are reduced after the last micro-batch alone: accelerate's no_sync; a plain loop has none."""
    return not _in_torch(setting)


def _in_torch(setting: Setting) -> bool:
    return setting.stack.trainer in LOOPS_IN_TORCH


def _ends_apart(setting: Setting) -> bool:
    if setting.stack.trainer == TORCHTITAN:
        return not older(setting, TORCHTITAN, TITAN_ENDS_APART)
    return not _in_torch(setting) and not older(setting, "accelerate", ENDS_APART)


def _reduced_item(setting: Setting, item: int) -> int:
    """Bytes of an element as gradients are reduced: torchtitan's policy has float32 (job_config.py)."""
    return BYTES["fp32"] if setting.stack.trainer == TORCHTITAN else item


def _keeps_last(setting: Setting) -> bool:
    """Whether the last layer is not freed after its forward, as backward begins with it (parallelize_llama.py)."""
    return setting.stack.trainer == TORCHTITAN and older(setting, TORCHTITAN, TITAN_ENDS_APART)
