"""What virtual tokens in front of every sequence keep alive beside their pass (peft, peft_model.py)."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.frozen import frozen
from toolkit.memory.forms.builder import Builder
from toolkit.memory.formula.embeddings import ROW as EMBEDDINGS
from toolkit.memory.formula.layer import RESIDUAL
from toolkit.memory.programs.program import Program
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES, NOTHING, Parts, Size
from toolkit.memory.tuners.prompts import encoder_width, virtual_tokens
from toolkit.spec.settings.setting import Setting


@frozen
class _PromptHeld:
    """What autograd saves until the prompt's backward (`kept`), and what peft's forward refers to (`called`).

    `shared` is the part of the latter that the model's own code holds as well.
    """

    kept: Size
    called: Size
    shared: Size


def prompted(
    build: Builder, setting: Setting, held: dict[str, Size], front: Mapping[str, Parts], first: Program
) -> tuple[Mapping[str, Parts], Mapping[str, Size]]:
    """What embeddings save, and what peft's forward refers to while the model runs, with a prompt before them.

    What both refer to is removed from `held`; the `first` layer may keep it anyway.
    """
    if not virtual_tokens(setting):
        return front, {}
    if build.layout.embedding_norm:
        reason = f"no formula for a pass with {setting.method} and normed embeddings yet"
        raise UnsupportedRow("embedding_states", reason)
    prompt = _prompt_held(build, setting, first)
    held[RESIDUAL] = held[RESIDUAL].minus(prompt.shared)
    return {EMBEDDINGS: prompt.kept}, {RESIDUAL: prompt.called}


def _prompt_held(build: Builder, setting: Setting, first: Program) -> _PromptHeld:
    """The concatenated embeddings of prompt and tokens, and the prompt of every sequence.

    Frozen embeddings that require a gradient for checkpoints are a leaf of the graph, which holds them. The network of
    p-tuning saves its narrow inputs and autocast's copies of its weights.
    """
    width, dtypes = build.architecture.hidden, build.numerics
    each, tokens = width * BYTES[dtypes.stream], virtual_tokens(setting)
    alone = dtypes.checkpointing == "false"
    prompts = Size(sequence=tokens * each)
    leaf = NOTHING if alone else Size(token=each).minus(prompts)
    network = Size(fixed=_network(build, setting, width, tokens)) if setting.method == "p_tuning" else NOTHING
    whole = Size(token=each) if alone else NOTHING
    dropped = Size(token=width * BYTES["bool"]) if build.architecture.embedding_dropout else NOTHING
    apart = build.layout.positions or build.architecture.embedding_dropout  # the first layer gets another tensor
    named = whole if apart else first.input
    return _PromptHeld(leaf.plus(network).plus(dropped), named.plus(prompts), whole)


def _network(build: Builder, setting: Setting, width: int, tokens: int) -> int:
    """The inputs of three layers, and their weights in the dtype of autocast (tuners/p_tuning/model.py, mlp_head)."""
    assert setting.peft is not None
    hidden = encoder_width(dict(setting.peft.options), width)
    own, products = setting.peft.dtype, build.numerics.autocast or setting.peft.dtype
    copies = (2 * width * hidden + hidden * hidden) * BYTES[products] if products != own else 0
    return copies + tokens * (width + 2 * hidden) * BYTES[products]
