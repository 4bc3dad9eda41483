"""Activations that are moved to main memory in forward, and fetched again in backward.

Source: trl/models/activation_offloading.py, OffloadActivations (torchtune's, with streams): what autograd saves goes to
main memory, but a stash keeps the five tensors that were saved last, until they have arrived. Under checkpoints most
are inputs of layers: five of them are counted. In traces none is left where all parameters are trained, and beside
adapters as much as three to eight of them take, whatever the number of layers.

A loop of one's own may call a checkpoint that copies a layer's input to main memory and back itself (Unsloth's
Unsloth_Offloaded_Gradient_Checkpointer in unsloth_zoo/gradient_checkpointing.py, which others patch into
torch.utils.checkpoint): only that of the layer that runs is on the GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from toolkit.memory.context import Scale
from toolkit.memory.programs.program import CHECKPOINTS
from toolkit.memory.programs.programs import Programs
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import NOTHING
from toolkit.spec.fields.objective import NEXT_TOKEN
from toolkit.spec.fields.result import OWN_LOOP
from toolkit.spec.settings.setting import Setting

STASHED = 5
"""OffloadActivations, max_fwd_stash_size."""
WITHIN = ("last layer", "first layer")
"""Stretches of a layer, whose own input is there beside what is there throughout."""
OFFLOADS = ("trl", "torchtune")
NEWER, OLDER = "non-reentrant", "reentrant"


def stash_of(setting: Setting) -> int | None:
    """How many inputs of layers stay on the GPU; None where all do."""
    if not setting.activation_offloading:
        return None
    return 0 if setting.stack.trainer == OWN_LOOP else STASHED


def stashed(stash: int, scale: Scale, programs: Programs, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """The moments of a pass where no more inputs of layers stay than the stash has room for."""
    largest = max(scale.bytes(program.stored.get(CHECKPOINTS, NOTHING.parts())) for program in programs.layers)
    for one in stretches:
        most = max(0, stash - (one.name in WITHIN)) * largest
        kept = min(one.throughout.get(CHECKPOINTS, 0), most)
        yield replace(one, throughout={**one.throughout, CHECKPOINTS: kept})


def refuse_offloading(setting: Setting) -> None:
    """Raise where no formula says what stays on the GPU."""
    if not setting.activation_offloading:
        return
    own = setting.stack.trainer == OWN_LOOP
    for known, covered in (
        (
            "TRL's SFTTrainer, torchtune or a plain loop",
            own or (setting.stack.trainer in OFFLOADS and setting.objective == NEXT_TOKEN),
        ),
        (
            f"checkpoints of torch's {'older' if own else 'newer'} form",
            setting.gradient_checkpointing == (OLDER if own else NEWER),
        ),
        ("one GPU", setting.parallel.gpus == 1 or (own and setting.parallel.strategy == "zero3")),
    ):
        if not covered:
            raise UnsupportedRow("layer_inputs", f"no formula for offloaded activations but with {known} yet")
