"""Low-bit states of torchao's optimizers: codes, a float32 scale for each block, and a table of the codes' values.

Source: torchao optim/adam.py (_new_buffer), subclass_8bit.py and subclass_4bit.py (zeros), 0.18; transformers
trainer_optimizer.py, _get_torchao_optimizer.
"""

from __future__ import annotations

from collections.abc import Callable

from toolkit.memory.size import BYTES
from toolkit.memory.weights.sums import Trained
from toolkit.spec.settings.setting import Setting

SCALE = BYTES["fp32"]
SMALLEST = 4096
"""Elements from which on a state is low-bit, if the block size divides them."""
TRAINER_OVERRIDES = ("transformers", "trl")
"""Trainers with their own optimizer settings: torchao's blocks have 256 elements, and embeddings are an exception.

With bitsandbytes' optimizers they keep the states of embeddings in 32 bit (transformers/trainer.py).
"""
BLOCKS = {8: 256, 4: 128}
"""Elements that share a scale by default, by bits."""
TRAINER_BLOCK = 256
MOMENTS = 2


def of_torchao(bits: int, *, table: bool = True) -> Callable[[Trained, Setting], int]:
    """The bytes of both moments of a tensor with so many bits per element; small ones have the parameter's dtype.

    Codes that are floats need no table (subclass_fp8.py).
    """

    def rule(tensor: Trained, setting: Setting) -> int:
        block = TRAINER_BLOCK if setting.stack.trainer in TRAINER_OVERRIDES else BLOCKS[bits]
        count = tensor.elements
        if count < SMALLEST or count % block:
            return MOMENTS * count * BYTES[setting.optimizer_states]
        meaning = (1 << bits) * SCALE if table else 0
        return MOMENTS * (count * bits // 8 + count // block * SCALE + meaning)

    return rule
