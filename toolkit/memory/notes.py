"""What somebody who reads an estimate has to know beside its rows."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.memory.context import Context
from toolkit.memory.formula.liger import liger_notes
from toolkit.memory.formula.optimizer import paged_states
from toolkit.memory.kept_caches import STATIC
from toolkit.memory.layouts.encoders import ENCODERS
from toolkit.memory.recurrent_kernels import recurrence_notes
from toolkit.spec.names import GALORE

TRANSFORMS = frozenset({"c3a", "fourierft"})
"""Methods of peft that go through Fourier transforms."""


def notes_of(context: Context) -> Iterator[str]:
    """What the ledger leaves out or takes otherwise than it is written, for whoever reads it."""
    paged = paged_states(context) if context.setting.trains else 0
    if paged:
        yield f"not in the ledger: {paged:,} bytes of optimizer states in managed memory, which torch does not count"
    if context.setting.optimizer in GALORE:
        yield "not in the ledger: cuSOLVER's workspace for singular vectors, whose size only cuSOLVER tells"
    if context.setting.trains and context.setting.method in TRANSFORMS:
        yield "not in the ledger: cuFFT's workspace, whose size only cuFFT tells"
    if context.generates and context.setting.cache is not None and context.setting.cache.implementation == STATIC:
        yield "decode: generate() compiles it for a static cache on a GPU; the rows are of operations as written"
    yield from _past_positions(context)
    yield from recurrence_notes(context.architecture, context.setting.kernels)
    yield from liger_notes(context.architecture.family, context.setting)
    layout = ENCODERS.get(context.architecture.family)
    if layout is not None and (layout.disentangled or layout.biases) and context.setting.attention != "eager":
        name = "DeBERTa" if layout.disentangled else "MPNet"
        yield f"attention: transformers has no {context.setting.attention} for {name}, which attends eagerly"


def _past_positions(context: Context) -> Iterator[str]:
    """More tokens than a model has positions: torch's embedding raises past the end of a table, angles go on."""
    setting, positions = context.setting, context.architecture.max_positions
    tokens = setting.sequence_length + (setting.generated_length if context.generates else 0)
    if positions is not None and tokens > positions and setting.packing == "none" and not context.serves:
        yield (
            f"{tokens:,} tokens are more than the {positions:,} positions of the model's config: code with a table of"
            " positions (BERT, GPT-2) fails there, and all others go where the model was not trained to"
        )
