"""Methods that add tokens, or train norms and rows of the embedding (peft 0.21)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from toolkit.memory.architecture import Architecture, Module, ModuleKind
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tuners.added import Added, Adds, Base
from toolkit.spec.settings.setting import Setting

FP32 = 4
ADAPTION_FAMILIES = frozenset({"gpt2", "llama", "mistral"})
"""Model types whose attention is known to peft's tuners/adaption_prompt/config.py."""
KEYS_OF_THEIR_OWN = frozenset({"gpt_bigcode", "falcon"})
"""Model types whose configs name the key heads differently from what peft looks for (utils/other.py)."""


GO_IN_FRONT = frozenset({"prompt_tuning", "p_tuning"})
"""Methods whose tokens pass through the model like others, in front of every sequence (peft_model.py, forward)."""


def of_prompts(setting: Setting) -> bool:
    """Whether an embedding of virtual tokens is trained; its gradient is the last of all."""
    return setting.trains and (setting.method in GO_IN_FRONT or setting.method == "prefix_tuning")


def lengthened(setting: Setting) -> Setting:
    """The setting as the model sees it, with the virtual tokens that pass through it."""
    tokens = virtual_tokens(setting)
    return replace(setting, sequence_length=setting.sequence_length + tokens) if tokens else setting


def virtual_tokens(setting: Setting) -> int:
    """The virtual tokens in front of every sequence that pass through the model like others."""
    if setting.peft is None or not setting.trains or setting.method not in GO_IN_FRONT:
        return 0
    count = dict(setting.peft.options)["num_virtual_tokens"]
    assert isinstance(count, int)
    return count


def reads_and_writes(architecture: Architecture) -> bool:
    """Whether a model is a text encoder with a decoder; peft gives each of them a prompt.

    Source: peft_model.py, num_transformer_submodules, for the task SEQ_2_SEQ_LM.
    """
    return not architecture.frames and any(kind.stack == "encoder" for kind in architecture.layers)


def _rows(base: Base) -> int:
    """The rows of the embedding of virtual tokens; twice as many for an encoder with a decoder."""
    return base.number("num_virtual_tokens") * (2 if reads_and_writes(base.architecture) else 1)


def _prompt_tuning(base: Base) -> Iterator[Added]:
    yield Added((_rows(base), base.architecture.hidden), embedding=True)


def _prefix_tuning(base: Base) -> Iterator[Added]:
    """Keys and values of all layers for each token, or a smaller embedding and the network that makes them.

    For an encoder with a decoder there are as many as the encoder has layers, because peft reads that number.
    """
    width, layers = _key_width(base), base.architecture.layers
    stack = "encoder" if reads_and_writes(base.architecture) else "decoder"
    made = 2 * sum(kind.count for kind in layers if kind.stack == stack) * width
    tokens = base.number("num_virtual_tokens")
    if not base.options["prefix_projection"]:
        yield Added((tokens, made), embedding=True)
        return
    hidden = encoder_width(base.options, width)
    yield Added((tokens, width), embedding=True)
    yield from _dense(width, hidden)
    yield from _dense(hidden, made)


def _p_tuning(base: Base) -> Iterator[Added]:
    """An embedding of the tokens, and three layers (tuners/p_tuning/model.py, MLP)."""
    width = base.architecture.hidden
    hidden = encoder_width(base.options, width)
    yield Added((_rows(base), width), embedding=True)
    yield from _dense(width, hidden)
    yield from _dense(hidden, hidden)
    yield from _dense(hidden, width)


def _adaption_prompt(base: Base) -> Iterator[Added]:
    """Tokens and a gate for each of the last layers."""
    family, layers = base.architecture.family, base.number("adapter_layers")
    if family not in ADAPTION_FAMILIES:
        raise UnsupportedRow("adapters", f"peft has no adaption prompt for {family}")
    if layers > base.architecture.layer_count:
        raise UnsupportedRow("adapters", f"the model has {base.architecture.layer_count} layers, not {layers}")
    yield Added((1, base.number("adapter_len"), base.architecture.hidden), layers)
    yield Added((1,), layers)


def _ln_tuning(base: Base) -> Iterator[Added]:
    """A trained copy of each norm."""
    for module in base.modules:
        for tensor in module.tensors:
            yield Added(tensor.shape, module.count)


def _trainable_tokens(base: Base) -> Iterator[Added]:
    """New rows, and the original rows that they replace (tuners/trainable_tokens/layer.py)."""
    rows = (base.number("num_tokens"), _token_embedding(base).tensors[0].shape[1])
    yield Added(rows)
    yield Added(rows, trained=False, item=FP32)


def _dense(inputs: int, outputs: int) -> Iterator[Added]:
    yield Added((outputs, inputs))
    yield Added((outputs,))


def encoder_width(options: Mapping[str, object], width: int) -> int:
    """The width of the network that makes a prompt."""
    given = options["encoder_hidden_size"]
    return given if isinstance(given, int) else width


def _key_width(base: Base) -> int:
    """The width of a layer's keys, the widest where layers differ; for T5 and BART peft takes the model's width."""
    if reads_and_writes(base.architecture):
        return base.architecture.hidden
    kinds = [kind.attention for kind in base.architecture.layers]
    if base.architecture.family in KEYS_OF_THEIR_OWN or any(one.latent_rank for one in kinds):
        raise UnsupportedRow("adapters", f"no rule for prefix tuning of {base.architecture.family} yet")
    return max(one.head_dim * one.key_value_heads for one in kinds)


def _token_embedding(base: Base) -> Module:
    for module in base.architecture.modules:
        if module.kind is ModuleKind.EMBEDDING and module.tensors[0].shape[0] == base.architecture.vocabulary:
            return module
    raise UnsupportedRow("adapters", f"the token embedding of {base.architecture.family} is not known")


PROMPTS: Mapping[str, Adds] = {
    "adaption_prompt": _adaption_prompt,
    "ln_tuning": _ln_tuning,
    "p_tuning": _p_tuning,
    "prefix_tuning": _prefix_tuning,
    "prompt_tuning": _prompt_tuning,
    "trainable_tokens": _trainable_tokens,
}
"""What each method adds."""
