"""Whole modules that peft trains copies of beside adapters, by the rules of peft 0.21 (`modules_to_save`).

The module that is copied stays as it was, frozen. A name takes every module whose own name ends in it, wherever in a
word that begins, and all that lies below it (utils/other.py, _set_trainable, ModulesToSaveWrapper). A copy keeps the
dtype of what it copies: autocast_adapter_dtype reaches adapters alone (tuners/tuners_utils.py, cast_adapter_dtype). Of
weights that two modules share each gets a copy of its own (ensure_weight_tying is off unless asked for).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from toolkit.memory.architecture.heads import QUESTION, SEQUENCE, TOKENS
from toolkit.memory.architecture.model import Architecture, Module, ModuleKind, Tensor
from toolkit.memory.architecture.stack import as_built
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.fields.names import FLOATS
from toolkit.spec.settings.setting import Setting

# peft's PeftModelForSequenceClassification and -TokenClassification train modules whose names end so in full.
CLASSIFIER_NAMES = ("classifier", "score")
ANSWER_NAMES = ("qa_outputs",)
"""And its PeftModelForQuestionAnswering."""

LINEARS = (ModuleKind.LINEAR, ModuleKind.CONV1D)


@lru_cache(maxsize=1024)
def saved_modules(architecture: Architecture, names: tuple[str, ...] = ()) -> tuple[Module, ...]:
    """The modules that peft copies and trains in full beside the adapters: a classifier's, and those of these names.

    A module of some layers stands for those alone that are copied.
    """
    classifies = architecture.head in (SEQUENCE, TOKENS)
    own = CLASSIFIER_NAMES if classifies else ANSWER_NAMES if architecture.head == QUESTION else ()
    every = (*own, *names)
    return tuple(_saved(architecture, every)) if every else ()


@lru_cache(maxsize=1024)
def unmatched_names(architecture: Architecture, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that no module of the model has."""
    return tuple(name for name in names if not any(_layers_below(module, (name,)) for module in architecture.modules))


def adapted_before(architecture: Architecture, names: tuple[str, ...], adapted: Iterable[Module]) -> str:
    """The first of these modules that is copied by the end of its name alone; empty where there is none.

    peft leaves adapters off what is copied by whole parts of names (tuners/tuners_utils.py,
    check_target_module_exists): others it adapts, and then finds that it cannot copy them.
    """
    copied = {path for module in saved_modules(architecture, names) for path in module.paths()} if names else set()
    paths = (path for module in adapted for path in module.paths() if path in copied)
    return next((path for path in paths if not any(f".{name}." in f".{path}." for name in names)), "")


def is_token_embedding(module: Module, architecture: Architecture) -> bool:
    """Whether a module turns tokens into what the first layer is given."""
    return module.kind is ModuleKind.EMBEDDING and module.in_features == architecture.vocabulary


def saved_by(architecture: Architecture, setting: Setting) -> tuple[Module, ...]:
    """The modules of which a method of peft trains copies beside its adapters, on the model as its stack builds it."""
    if setting.lora is None and setting.peft is None:
        return ()
    names = setting.lora.modules_to_save if setting.lora is not None else ()
    return saved_modules(as_built(architecture, setting) if names else architecture, names)


def refuse_saved(architecture: Architecture, setting: Setting) -> None:
    """Raise for copies that peft does not make, or that get no gradient."""
    assert setting.lora is not None
    names = setting.lora.modules_to_save
    missing = unmatched_names(architecture, names)
    if missing:
        of = architecture.class_name
        raise UnsupportedRow("adapters", f"no module of {of} has a name that ends in {missing[0]} (modules_to_save)")
    for module in saved_modules(architecture, names) if names else ():
        if module.quantized and module.kind in LINEARS and setting.weights not in FLOATS:
            reason = f"a copy of {module.path} (modules_to_save) has {setting.weights} weights, which get no gradient"
            raise UnsupportedRow("adapters", reason)


def _saved(architecture: Architecture, names: tuple[str, ...]) -> Iterator[Module]:
    for module in architecture.modules:
        layers = _layers_below(module, names)
        if layers:
            whole = _layers_below(replace(module, path=module.path.rpartition(".")[0]), names) == layers
            yield replace(_with_shared(module, architecture.tied, alone=not whole), layers=layers)


def _layers_below(module: Module, names: tuple[str, ...]) -> tuple[str, ...]:
    """The layers of a module that lie in, or are, a module of one of these names."""
    if not any(character.isdigit() for name in names for character in name):  # so that no name tells layers apart
        return module.layers if _lies_below(module.path, names) else ()
    return tuple(layer for layer in module.layers if _lies_below(module.path.replace("{}", layer), names))


def _lies_below(path: str, names: tuple[str, ...]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[:end]).endswith(names) for end in range(1, len(parts) + 1))


def _with_shared(module: Module, tied: tuple[str, ...], *, alone: bool) -> Module:
    """A module with the tensors that it shares with another, of which its copy has its own.

    Unless it is copied `alone`, the bias that it shares with what it lies in is copied with that.
    """
    shape = {
        ModuleKind.HEAD: (module.out_features, module.in_features),
        ModuleKind.EMBEDDING: (module.in_features, module.out_features),
    }.get(module.kind, ())
    own = {tensor.name for tensor in module.tensors}
    shapes = {"weight": shape, **({"bias": shape[:1]} if alone else {})} if shape else {}
    shared = (Tensor(name, of) for name, of in shapes.items() if f"{module.path}.{name}" in tied and name not in own)
    return replace(module, tensors=(*shared, *module.tensors))
