"""Activations that are moved to main memory in forward, and fetched again in backward.

Source: trl/models/activation_offloading.py, OffloadActivations (torchtune's, with streams): what autograd saves goes to
main memory, but a stash keeps the five tensors that were saved last, until they have arrived: under checkpoints the
inputs of five layers while these run, and none of them any more once the end of the model has saved as many. What is
fetched goes as soon as the next is. Where a frozen embedding's result is made to require a gradient, it is a leaf, and
its graph holds it on the GPU anyway; and the context has a name for the last node that it saw (curr_autograd_node), so
that this leaf and its gradient are there until the next pass goes back.

A loop of one's own may call a checkpoint that copies a layer's input to main memory and back itself (Unsloth's
Unsloth_Offloaded_Gradient_Checkpointer in unsloth_zoo/gradient_checkpointing.py, which others patch into
torch.utils.checkpoint): only that of the layer that runs is on the GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.context import Scale
from toolkit.memory.programs.program import CHECKPOINTS
from toolkit.memory.programs.programs import Programs
from toolkit.memory.programs.stretch import Stretch
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import NOTHING
from toolkit.memory.weights.backward import TRAINS_INPUTS
from toolkit.spec.fields.objective import NEXT_TOKEN
from toolkit.spec.fields.result import OWN_LOOP
from toolkit.spec.settings.setting import Setting


@frozen
class Stash:
    """How many inputs of layers stay on the GPU in a forward pass; `leaf`: the first of all does in any case."""

    inputs: int
    leaf: bool = False


STASHED = 5
"""OffloadActivations, max_fwd_stash_size."""
WITHIN = "last layer"
"""The stretch of a forward pass in which inputs are in the stash: four beside that of the layer itself."""
OFFLOADS = ("trl", "torchtune")
NEWER, OLDER = "non-reentrant", "reentrant"


def stash_of(setting: Setting) -> Stash | None:
    """What stays on the GPU of the inputs of layers; None where all do."""
    if not setting.activation_offloading:
        return None
    if setting.stack.trainer == OWN_LOOP:
        return Stash(0)
    trained = setting.method in TRAINS_INPUTS or (setting.lora is not None and setting.lora.modules_to_save)
    return Stash(STASHED, leaf=setting.stack.trainer == "trl" and not trained)


def fetches(setting: Setting) -> bool:
    """Whether a checkpoint's input is fetched, and what was fetched before it goes once its first node is done."""
    return setting.trains and setting.activation_offloading and setting.stack.trainer == "trl"


def stashed(
    stash: Stash, scale: Scale, programs: Programs, stretches: Iterable[Stretch], *, forward: bool
) -> Iterator[Stretch]:
    """The moments of a pass where no more inputs of layers stay than the stash has room for."""
    largest = max(scale.bytes(program.stored.get(CHECKPOINTS, NOTHING.parts())) for program in programs.layers)
    held = left_by(stash, scale, programs)
    for one in stretches:
        most = max(0, stash.inputs - 1) * largest if forward and one.name == WITHIN else 0
        there = min(one.throughout.get(CHECKPOINTS, 0), most + held // 2) + held
        kept = there if forward else held // 2
        yield replace(one, throughout={**one.throughout, CHECKPOINTS: kept})


def left_by(stash: Stash, scale: Scale, programs: Programs) -> int:
    """The bytes of the first layer's input and of its gradient that a pass leaves there until the next goes back."""
    return 2 * scale.bytes(programs.layers[0].stored.get(CHECKPOINTS, NOTHING.parts())) if stash.leaf else 0


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
            raise UnsupportedRow("layer_inputs", f"no formula for offloaded activations yet, except with {known}")
