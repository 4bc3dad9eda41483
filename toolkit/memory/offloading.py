"""Activations that are moved to main memory in forward, and fetched again in backward.

Source: trl/models/activation_offloading.py, OffloadActivations (torchtune's, with streams): what autograd saves goes to
main memory, but a stash keeps the five tensors that were saved last, until they have arrived. Under checkpoints most
are inputs of layers: five of them are counted. In traces none is left where all parameters are trained, and beside
adapters as much as three to eight of them take, whatever the number of layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from toolkit.memory.context import Scale
from toolkit.memory.program import CHECKPOINTS
from toolkit.memory.programs import Programs
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import NOTHING
from toolkit.memory.stretch import Stretch
from toolkit.spec.objective_fields import NEXT_TOKEN
from toolkit.spec.setting import Setting

STASHED = 5
"""OffloadActivations, max_fwd_stash_size."""
WITHIN = ("last layer", "first layer")
"""Stretches of a layer, whose own input is there beside what is there throughout."""
OFFLOADS = ("trl", "torchtune")


def stashed(scale: Scale, programs: Programs, stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """The moments of a pass where no more inputs of layers stay than the stash has room for."""
    largest = max(scale.bytes(program.stored.get(CHECKPOINTS, NOTHING.parts())) for program in programs.layers)
    for one in stretches:
        most = (STASHED - (one.name in WITHIN)) * largest
        kept = min(one.throughout.get(CHECKPOINTS, 0), most)
        yield replace(one, throughout={**one.throughout, CHECKPOINTS: kept})


def refuse_offloading(setting: Setting) -> None:
    """Raise where no formula says what stays on the GPU."""
    if not setting.activation_offloading:
        return
    for known, covered in (
        ("TRL's SFTTrainer or torchtune", setting.stack.trainer in OFFLOADS and setting.objective == NEXT_TOKEN),
        ("checkpoints of torch's newer form", setting.gradient_checkpointing == "non-reentrant"),
        ("one GPU", setting.parallel.gpus == 1),
    ):
        if not covered:
            raise UnsupportedRow("layer_inputs", f"no formula for offloaded activations but with {known} yet")
