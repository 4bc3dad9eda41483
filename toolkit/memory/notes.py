"""What somebody who reads an estimate has to know beside its rows."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.facts.multiprocessors import multiprocessors_of
from toolkit.memory.architecture.deberta_first import FAMILY as DEBERTA_FIRST
from toolkit.memory.architecture.model import ModuleKind
from toolkit.memory.architecture.stack import as_built
from toolkit.memory.context import Context
from toolkit.memory.formula.optimizers.optimizer import paged_states
from toolkit.memory.formula.reduction import STAGED_FROM
from toolkit.memory.formula.trainers.liger import liger_notes
from toolkit.memory.layouts.encoders import ENCODERS
from toolkit.memory.libraries.kept_caches import STATIC
from toolkit.memory.libraries.recurrent_kernels import recurrence_notes
from toolkit.memory.offloading import stash_of
from toolkit.spec.fields.names import BITSANDBYTES, GALORE, GROUPED
from toolkit.spec.fields.objective import PREFERENCES, WHOLE_PAIRS

TRANSFORMS = frozenset({"c3a", "fourierft"})
"""Methods of peft that go through Fourier transforms."""
MUCH = 10
"""What of a model is left as it is is told from one part in so many on."""

ONE_INPUT = "that of the layer that runs is counted"


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
    if context.setting.activation_offloading:
        stash = stash_of(context.setting)
        some = stash is not None and stash.inputs
        kept = f"while layers run {some} are counted, as many as the stash holds" if some else ONE_INPUT
        yield f"layer_inputs: {kept}; the others wait in main memory"
    if context.setting.objective in (*PREFERENCES, *WHOLE_PAIRS):
        yield "logits: every token is counted as the answer's; those of prompts take no log-probabilities"
    yield from _past_positions(context)
    yield from _unstaged(context)
    yield from _left_whole(context)
    yield from recurrence_notes(context.architecture, context.setting.kernels)
    yield from liger_notes(context.architecture.family, context.setting)
    layout = ENCODERS.get(context.architecture.family)
    if layout is not None and (layout.disentangled or layout.biases) and context.setting.attention != "eager":
        name = "DeBERTa" if layout.disentangled else "MPNet"
        yield f"attention: transformers has no {context.setting.attention} for {name}, which attends eagerly"
    if context.architecture.family == DEBERTA_FIRST and context.numerics.norm != "fp32":
        yield "weights: from_pretrained of transformers 5 leaves q_bias and v_bias in float32; 16 bit needs model.to()"


def _unstaged(context: Context) -> Iterator[str]:
    """A GPU whose multiprocessors are not known, where gradients are summed over so many tokens that it matters."""
    setting, gpu = context.setting, context.setting.gpu
    vectors = any(len(one.shape) == 1 or 1 in one.shape for one in context.sums.trained)
    tokens = setting.batch_size * setting.sequence_length
    if setting.trains and gpu is not None and vectors and tokens >= STAGED_FROM and multiprocessors_of(gpu) is None:
        yield f"not in the ledger: reduction_buffer, for how many multiprocessors {gpu} has is not in the table of GPUs"


def _left_whole(context: Context) -> Iterator[str]:
    """What a quantized form leaves in 16 bit beside heads and embeddings, where it is much: experts, Falcon's linears.

    Source: transformers integrations/bitsandbytes.py, replace_with_bnb_linear: modules whose type is nn.Linear itself.
    """
    form = context.setting.weights
    if form not in BITSANDBYTES | GROUPED or context.serves:
        return
    built = as_built(context.architecture, context.setting)
    left = [one for one in built.modules if one.kind is ModuleKind.EXPERTS or not one.quantized]
    elements = sum(one.count * tensor.elements for one in left for tensor in one.tensors)
    if elements * MUCH >= context.sums.parameters:
        what = "experts" if any(one.kind is ModuleKind.EXPERTS for one in left) else "linears of a class of their own"
        whose = "bitsandbytes" if form in BITSANDBYTES else "GPTQ or AWQ"
        yield (
            f"weights: {elements:,} of {context.sums.parameters:,} parameters stay in 16 bit: they are {what}, which"
            f" transformers since 5 does not let {whose} quantize (before, it did: say stack.transformers)"
        )


def _past_positions(context: Context) -> Iterator[str]:
    """More tokens than a model has positions: torch's embedding raises past the end of a table, angles go on."""
    setting, positions = context.setting, context.architecture.max_positions
    tokens = setting.sequence_length + (setting.generated_length if context.generates else 0)
    if context.validated is not None:
        tokens = max(tokens, context.validated.setting.sequence_length)
    if positions is not None and tokens > positions and setting.packing == "none" and not context.serves:
        yield (
            f"{tokens:,} tokens are more than the {positions:,} positions of the model's config: code with a table of"
            " positions (BERT, GPT-2) fails there, and all others go where the model was not trained to"
        )
