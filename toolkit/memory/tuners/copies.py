"""Copies of whole modules that peft trains beside LoRA's adapters, as forms of layers and of the ends need them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from toolkit.memory.architecture import Architecture, Module, ModuleKind
from toolkit.memory.context import Context
from toolkit.memory.forms.builder import Adaptation
from toolkit.memory.layouts.encoders import ENCODERS
from toolkit.memory.programs.own_programs import OWN_PROGRAMS
from toolkit.memory.programs.programs import Programs
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.memory.tuners.forms import TRAINERS, trained_norms
from toolkit.memory.weights.casts import casts_back
from toolkit.memory.weights.saved import is_token_embedding, saved_by, saved_modules
from toolkit.memory.weights.sums import reads_text
from toolkit.spec.settings.setting import Setting

PRODUCTS = (ModuleKind.LINEAR, ModuleKind.CONV1D, ModuleKind.HEAD)
FOLLOWED_WITH = ("none", "ddp")
"""The strategies under which every GPU has whole copies."""


def with_copies(adaptation: Adaptation, architecture: Architecture, setting: Setting) -> Adaptation:
    """What is adapted, and the modules with trained copies, classifiers included; refuses what is not followed."""
    saved = saved_by(architecture, setting)
    if not saved or setting.lora is None:
        return adaptation
    found = replace(adaptation, saved=frozenset(module.path for module in saved))
    if not setting.lora.modules_to_save:
        return found
    classifier = {module.path for module in saved_modules(architecture)}
    named = [module for module in saved if module.path not in classifier]
    for reason in _unfollowed(named, architecture):
        raise UnsupportedRow("activations", f"no formula for modules_to_save and {reason} yet")
    norms = [module for module in named if module.kind is ModuleKind.NORM]
    if norms and casts_back(setting):  # what decides that is in the dtypes of a run, too
        reason = "no formula for modules_to_save and norms that stay in float32 beside 16-bit embeddings yet"
        raise UnsupportedRow("activations", reason)
    return replace(
        found,
        norms=trained_norms(architecture, norms, "modules_to_save") if norms else adaptation.norms,
        embeds=any(is_token_embedding(module, architecture) for module in named),
        outputs=any(module.kind is ModuleKind.HEAD for module in named),
    )


def refuse_copies(setting: Setting) -> None:
    """Raise for settings in which copies of whole modules are not followed."""
    if setting.lora is None or not setting.lora.modules_to_save or not setting.trains:
        return
    for what, applies in (
        (setting.stack.trainer, setting.stack.trainer not in TRAINERS),
        (setting.parallel.strategy, setting.parallel.strategy not in FOLLOWED_WITH),
        ("steps in backward", setting.optimizer_in_backward),
    ):
        if applies:
            raise UnsupportedRow("activations", f"no formula for modules_to_save and {what} yet")


def refuse_unmade(programs: Programs, context: Context) -> None:
    """Raise where a pass does not make the gradients of all that is trained: its code then bypasses a copy.

    Gradients of vectors are not followed everywhere; all of them together are smaller than one matrix.
    """
    sums, dtypes, bytes_of = context.sums, context.numerics, context.scale.bytes
    if context.sharing is not None:
        return
    passes = [*programs.layers, *programs.before, programs.head, *([programs.inputs] if programs.inputs else [])]
    made = sum(one.count * bytes_of(one.gradients) for one in passes)
    copies = [one for one in sums.trained if one.copied and not one.embedding]
    vectors = sum(one.elements * one.count for one in copies if len(one.shape) == 1) * BYTES[dtypes.head]
    whole = (sums.elements - sums.copies) * BYTES[dtypes.gradient]
    whole += sum(one.elements * one.count for one in copies) * BYTES[dtypes.head]
    if not whole - vectors <= made <= whole:
        family = context.architecture.family
        raise UnsupportedRow("activations", f"no formula for modules_to_save and these layers of {family} yet")


def _unfollowed(saved: Iterable[Module], architecture: Architecture) -> Iterator[str]:
    """The modules whose copies are not followed."""
    layers = {module.path: module.count for module in architecture.modules}
    if architecture.family in OWN_PROGRAMS and architecture.family not in ENCODERS:
        yield f"modules of {architecture.family}"
    for module in saved:
        known = module.kind in (*PRODUCTS, ModuleKind.NORM) or is_token_embedding(module, architecture)
        if not known or not reads_text(module) or module.float32:
            yield f"a copy of {module.path}"
        if module.count < layers[module.path]:
            yield "copies of some layers alone"
