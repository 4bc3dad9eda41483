"""The adapters of a setting's method as the forms of layers need them: which layers have one, and its kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from toolkit.memory.architecture import Architecture, Module, ModuleKind
from toolkit.memory.forms.builder import OUTPUT
from toolkit.memory.formula.linear.linear_form import Tuner
from toolkit.memory.formula.tuned.methods import TUNED
from toolkit.memory.libraries.losses import loss_of
from toolkit.memory.programs.program import Program
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.memory.tuners.factored import osf_options
from toolkit.memory.tuners.linears import OFT_IN_TRIANGLES, oft_blocks
from toolkit.memory.tuners.methods import base_of, scales_inputs
from toolkit.memory.tuners.prompts import GO_IN_FRONT, of_prompts
from toolkit.memory.tuners.shared import kronecker_options, lily_shares
from toolkit.spec.fields.names import QUANTIZED
from toolkit.spec.settings.setting import Setting

WITHOUT_LINEARS = frozenset({*GO_IN_FRONT, "ln_tuning", "prefix_tuning", "trainable_tokens"})
"""Methods that are followed and adapt no linear layer, except an output layer that is tied."""
SHARES = frozenset({"lily", "tinylora", "trainable_tokens", "vblora"})
"""Methods whose parameters have gradients from more than one layer."""
OF_HEADS = ("q_", "k_", "query_", "key_")
"""How the names of norms over heads begin."""
TRAINERS = frozenset({"plain", "transformers", "trl"})
"""Trainers that run peft's code unchanged."""


def tuners_of(architecture: Architecture, setting: Setting) -> Mapping[str, Tuner]:
    """The adapter of each module, by its path; refuses by name what no formula follows."""
    if setting.method in WITHOUT_LINEARS:
        _refuse_others(setting)
        if of_prompts(setting) and any(kind.stack == "encoder" for kind in architecture.layers):
            reason = f"no formula for a pass with {setting.method} and an encoder-decoder yet"
            raise UnsupportedRow("activations", reason)
        return dict(_tied_head(architecture, setting))
    if setting.method not in TUNED:
        raise UnsupportedRow("activations", f"no formula for a pass with {setting.method} yet")
    return dict(_tuners(architecture, setting))


def _tuners(architecture: Architecture, setting: Setting) -> Iterator[tuple[str, Tuner]]:
    assert setting.peft is not None
    base = base_of(architecture, setting)
    if setting.method == "oft" and base.before(OFT_IN_TRIANGLES):
        raise UnsupportedRow("activations", f"no formula for a pass with oft of peft before {OFT_IN_TRIANGLES} yet")
    whole = {module.path: module.count for module in base.architecture.modules}
    for module in base.modules:
        _refuse(module, setting, partly=module.count < whole[module.path])
        options = {name: value for name, value in setting.peft.options if name != "feedforward_modules"}
        if setting.method == "ia3":
            options["inputs"] = scales_inputs(base, module)
        if setting.method == "oft":
            options["blocks"], options["block"] = oft_blocks(base, module)
        if setting.method == "boft":  # its permutation stays in main memory until it is moved
            options["stays"] = setting.stack.trainer == "plain"
        if setting.method == "lokr":
            options |= kronecker_options(base, module)
        if setting.method == "lily":
            options |= lily_shares(base, module)
        if setting.method == "osf":
            options |= osf_options(base, module)
        dtype = setting.peft.dtype
        yield module.path, Tuner(setting.method, dtype, setting.gradients, base.rank, tuple(options.items()))


def _tied_head(architecture: Architecture, setting: Setting) -> Iterator[tuple[str, Tuner]]:
    """Trained rows of an embedding that is tied to the output layer, which peft changes as well."""
    peft = setting.peft
    if peft is None or setting.method != "trainable_tokens" or not architecture.tied:
        return
    if loss_of(setting) != "cross-entropy":
        raise UnsupportedRow("logits", f"no formula for trainable_tokens and the loss {loss_of(setting)} yet")
    yield OUTPUT, Tuner(setting.method, peft.dtype, setting.gradients, options=peft.options)


def refuse_unfollowed(programs: Iterable[Program], setting: Setting, gradients: int) -> None:
    """Raise where layers do not make the gradients of all adapters: their code then bypasses the linears."""
    if setting.method not in TUNED or setting.method in SHARES or setting.gradient_accumulation > 1:
        return
    made = sum(one.count * sum(one.gradients) for one in programs)
    if made != gradients:
        raise UnsupportedRow("activations", f"no formula for a pass with {setting.method} of this model's layers yet")


def scattered_bytes(architecture: Architecture, setting: Setting, dtype: str) -> int:
    """A copy of the whole embedding, which both passes make where a few of its rows are trained."""
    if setting.method != "trainable_tokens" or not setting.trains:
        return 0
    return architecture.vocabulary * architecture.hidden * BYTES[dtype]


def prefix_of(architecture: Architecture, setting: Setting) -> int:
    """The virtual tokens whose keys and values precede those of every sequence; refuses what is not followed."""
    if setting.method != "prefix_tuning" or setting.peft is None:
        return 0
    options = dict(setting.peft.options)
    kinds = [kind.attention for kind in architecture.layers]
    same = len({kind.head_dim * kind.key_value_heads for kind in kinds}) == 1
    for reason, applies in (
        ("gradient checkpoints, which peft refuses", setting.gradient_checkpointing != "false"),
        ("a projection", bool(options["prefix_projection"])),
        (f"{setting.attention} attention", setting.attention != "sdpa"),
        (f"layers of {architecture.family}", not same or any(kind.window or kind.alibi for kind in kinds)),
    ):
        if applies:
            raise UnsupportedRow("activations", f"no formula for a pass with prefix_tuning and {reason} yet")
    tokens = options["num_virtual_tokens"]
    assert isinstance(tokens, int)
    return tokens


def norms_of(architecture: Architecture, setting: Setting) -> tuple[bool, bool, bool]:
    """Whether norms before attention, before feed-forward and at the end are trained by LN tuning."""
    if setting.method != "ln_tuning":
        return (False, False, False)
    base = base_of(architecture, setting)
    return trained_norms(base.architecture, base.modules, setting.method)


def trained_norms(architecture: Architecture, trains: Iterable[Module], method: str) -> tuple[bool, bool, bool]:
    """Whether norms before attention, before feed-forward and at the end are trained; refuses what is not followed."""
    norms = [module for module in architecture.modules if module.kind is ModuleKind.NORM]
    trained = {module.path: module.count for module in trains}
    layers = [module.path for module in norms if "{}" in module.path and not module.leaf.startswith(OF_HEADS)]
    ends = [module.path for module in norms if "{}" not in module.path]
    found = [trained.get(path) == module.count for module in norms for path in layers if path == module.path]
    others = trained.keys() - {*layers, *ends}
    if others or len(ends) != 1 or len(found) not in (2, 4) or (len(found) == 4 and len(set(found)) > 1):
        raise UnsupportedRow("activations", f"no formula for a pass with {method} of {architecture.family} yet")
    if any(0 < trained.get(path, 0) < module.count for module in norms for path in layers if path == module.path):
        raise UnsupportedRow("activations", f"no formula for a pass with {method} and some layers alone yet")
    return found[0], found[1], ends[0] in trained


def _refuse_others(setting: Setting) -> None:
    """Raise for settings in which methods without adapters on linears are not followed."""
    for reason, applies in (
        ("another head than causal-lm", setting.head != "causal-lm"),
        ("padded rows", setting.padding),
        *_beside(setting),
    ):
        if applies:
            raise UnsupportedRow("activations", f"no formula for a pass with {setting.method} and {reason} yet")


def _beside(setting: Setting) -> Iterator[tuple[str, bool]]:
    """The settings in which no method is followed."""
    yield f"{setting.weights} weights", setting.weights in QUANTIZED
    yield setting.stack.trainer, setting.stack.trainer not in TRAINERS


def _refuse(module: Module, setting: Setting, *, partly: bool) -> None:
    for reason, applies in (
        ("some layers alone", partly),
        ("an output layer", module.kind is ModuleKind.HEAD),
        ("Conv1D", module.kind is ModuleKind.CONV1D),
        ("gradient checkpoints", setting.method == "lily" and setting.gradient_checkpointing != "false"),
        *_beside(setting),
    ):
        if applies:
            raise UnsupportedRow("activations", f"no formula for a pass with {setting.method} and {reason} yet")
