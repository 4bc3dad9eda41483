"""Sums over the tensors of a model that rows need: what is trained, how large, and in how many pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture, Module, ModuleKind
from toolkit.memory.loading.unsplit import unsplit_bytes
from toolkit.memory.tuners.methods import added, held_bytes
from toolkit.memory.weights.casts import CASTS_BACK, casts_back, prepares_for_kbit
from toolkit.memory.weights.linear_storage import FOUR_BIT
from toolkit.memory.weights.lora import adapters_of
from toolkit.memory.weights.parameters import frozen_parameters, total_parameters, trainable_parameters
from toolkit.memory.weights.saved import is_token_embedding, saved_by
from toolkit.memory.weights.storage import StoredTensor, sizes_of, storage_of
from toolkit.spec.fields.names import DEEPSPEED
from toolkit.spec.settings.setting import Setting

SIXTEEN_BIT = ("bf16", "fp16")
OF_IMAGES = frozenset(
    {
        "audio_tower",
        "connector",
        "cross_attn",
        "embed_audio",
        "embed_vision",
        "image_newline",
        "multi_modal_projector",
        "vision_model",
        "vision_tower",
        "visual",
    }
)
"""Names of modules and parameters that only images and sounds reach."""
LINEARS = (ModuleKind.LINEAR, ModuleKind.CONV1D)


@frozen
class Trained:
    """One form of trained tensor: its shape, how many there are, whether it is an embedding's weight or a copy.

    Copies are those that peft makes of whole modules, in their dtype. `linear` is the path of the linear layer whose
    weight it is, an output layer's among them, which `head` says.
    """

    shape: tuple[int, ...]
    count: int
    embedding: bool = False
    copied: bool = False
    head: bool = False
    linear: str = ""

    @property
    def elements(self) -> int:
        """Elements of one of them."""
        product = 1
        for side in self.shape:
            product *= side
        return product


@frozen
class Sums:
    """Trained elements: all, those of the embeddings and of the head, the largest tensor; and every form of tensor.

    `adapters` and `copies` are the elements of adapters and of modules that peft trains copies of; `beside` those of
    the storages of gradients that are parts of them, less the gradients themselves; `frozen` is what a method of peft
    keeps beside, in bytes; `parameters` is all of the model with both, `trainable` those that get gradients.
    """

    parameters: int
    trainable: int
    trained: tuple[Trained, ...]
    elements: int
    largest: int
    embedding: int
    tied: bool
    adapters: int
    frozen: int
    beside: int
    copies: int
    weights: int
    rounding: int
    upcast: int
    segments: int
    unsplit: int


def shares_output(architecture: Architecture) -> bool:
    """Whether a weight is shared, and not by embeddings alone beside an output that has its own (FLAN-T5)."""
    heads = (one for one in architecture.modules if one.kind is ModuleKind.HEAD)
    own = any(
        one.out_features == architecture.vocabulary and any(tensor.name == "weight" for tensor in one.tensors)
        for one in heads
    )
    return bool(architecture.tied) and not own


def sums(architecture: Architecture, setting: Setting) -> Sums:
    """The sums of a model trained in one way."""
    trained = tuple(_trained(architecture, setting))
    stored_tensors = storage_of(architecture, setting)
    weights, rounding, segments = sizes_of(stored_tensors)
    adapters = sum(t.elements * t.count for t in _adapters(architecture, setting))
    adapters += frozen_parameters(architecture, setting)
    return Sums(
        parameters=total_parameters(architecture, setting),
        trainable=trainable_parameters(architecture, setting),
        trained=trained,
        elements=sum(tensor.elements * tensor.count for tensor in trained),
        largest=max((tensor.elements for tensor in trained), default=0),
        embedding=_trained_embedding(architecture, setting),
        tied=shares_output(architecture) and setting.method == "full",
        adapters=adapters,
        frozen=held_bytes(architecture, setting),
        beside=sum(one.elements * (one.shared - 1) for one in added(architecture, setting) if one.trained),
        copies=_copied(trained, architecture, setting),
        weights=weights,
        rounding=rounding,
        upcast=sum(upcast_bytes(one, setting) for one in stored_tensors) if prepares_for_kbit(setting) else 0,
        unsplit=unsplit_bytes(stored_tensors, setting),
        segments=segments,
    )


def in_turn(trained: Iterable[Trained]) -> Iterator[Trained]:
    """Tensors one by one as they follow each other in a model: two layers stand for all of them."""
    forms = list(trained)
    often = [one for one in forms if one.count > 1]
    first = next((place for place, one in enumerate(forms) if one.count > 1), len(forms))
    after = (one for one in forms[first:] if one.count == 1)
    yield from (replace(one, count=1) for one in (*forms[:first], *often, *often, *after))


def reads_text(module: Module) -> bool:
    """Whether a text passes through a module: one that only images reach gets no gradient, hence no states."""
    names = (*module.path.split("."), *(tensor.name for tensor in module.tensors))
    return not any(name in OF_IMAGES for name in names)


def _reached(module: Module, setting: Setting) -> bool:
    """Whether a gradient reaches a module: Unsloth's kernel for RMSNorm gives none to its weight.

    DeepSpeed's flat buffers have room for it all the same.
    """
    if not module.trainable:
        return False
    return module.kind is not ModuleKind.NORM or not setting.kernels.norm or setting.parallel.strategy in DEEPSPEED


def _trained(architecture: Architecture, setting: Setting) -> Iterator[Trained]:
    if setting.method == "full":
        for module in architecture.modules:
            for tensor in module.tensors if reads_text(module) and _reached(module, setting) else ():
                kind, linear = module.kind, ""
                if kind in (ModuleKind.LINEAR, ModuleKind.HEAD) and tensor.name == "weight":
                    linear = module.path
                is_head, is_table = kind is ModuleKind.HEAD, kind is ModuleKind.EMBEDDING
                yield Trained(tensor.shape, module.count, is_table, head=is_head, linear=linear)
    elif setting.trains:
        yield from put_beside(architecture, setting, reached=True)


def put_beside(architecture: Architecture, setting: Setting, *, reached: bool = False) -> Iterator[Trained]:
    """What peft puts beside a model, in the order of its modules: adapters, and copies of whole modules."""
    if setting.lora is None and setting.peft is None:
        return
    front, rest = _around_layers(saved_by(architecture, setting), architecture)
    yield from _copies(front)
    yield from _adapters(architecture, setting, reached=reached)
    yield from _copies(rest)


def _around_layers(saved: tuple[Module, ...], architecture: Architecture) -> tuple[list[Module], list[Module]]:
    """What of the modules comes before the layers, and what does not."""
    places = {module.path: place for place, module in enumerate(architecture.modules)}
    first = next((places[module.path] for module in architecture.modules if module.count > 1), 0)
    early = [module for module in saved if places.get(module.path, first) < first]
    return early, [module for module in saved if module not in early]


def _copied(trained: Iterable[Trained], architecture: Architecture, setting: Setting) -> int:
    """The elements of copies of whole modules: of those that are trained, or that a model answers with."""
    if setting.trains:
        return sum(tensor.elements * tensor.count for tensor in trained if tensor.copied)
    return sum(module.elements for module in saved_by(architecture, setting))


def _copies(saved: Iterable[Module]) -> Iterator[Trained]:
    for module in saved:
        for tensor in module.tensors:
            yield Trained(tensor.shape, module.count, module.kind is ModuleKind.EMBEDDING, copied=True)


def _adapters(architecture: Architecture, setting: Setting, *, reached: bool = False) -> Iterator[Trained]:
    """The matrices of all adapters, or of those that a text reaches."""
    for one in added(architecture, setting, reads_text if reached else None):
        if one.trained:
            yield Trained(one.shape, one.count, one.embedding)
    match = adapters_of(architecture, setting)
    if match is None or setting.lora is None:
        return
    for adapter in match.adapters:
        if reads_text(adapter.module) or not reached:
            for shape in adapter.trained(setting.lora):
                yield Trained(shape, adapter.module.count)


def _trained_embedding(architecture: Architecture, setting: Setting) -> int:
    if setting.method == "full":
        return _token_embedding(architecture)
    saved = saved_by(architecture, setting) if setting.trains else ()
    return sum(module.elements for module in saved if is_token_embedding(module, architecture))


def _token_embedding(architecture: Architecture) -> int:
    """Elements of the token embedding: of all embeddings the one with as many rows as the vocabulary."""
    for module in architecture.modules:
        if (
            module.kind is ModuleKind.EMBEDDING
            and module.tensors
            and module.tensors[0].shape[0] == architecture.vocabulary
        ):
            return module.tensors[0].elements
    return max(
        (m.tensors[0].elements for m in architecture.modules if m.kind is ModuleKind.EMBEDDING and m.tensors),
        default=0,
    )


def upcast_bytes(stored: StoredTensor, setting: Setting) -> int:
    """What preparing for k-bit training adds to a tensor: two bytes for each 16-bit element that ends as float32.

    Biases of 4-bit layers are cast to the compute dtype by their first product (bitsandbytes, Linear4bit.forward).
    """
    if not prepares_for_kbit(setting) or stored.is_packed or stored.part.dtype not in SIXTEEN_BIT:
        return 0
    in_4bit = stored.module.quantized and setting.weights in FOUR_BIT
    if stored.tensor.name == "bias" and in_4bit and stored.module.kind in LINEARS:
        return 0
    return 0 if _cast_back(stored, setting) else 2 * stored.elements


def passing_upcast(stored: StoredTensor, setting: Setting) -> int:
    """The same of what TRL casts back to 16 bits once there are adapters: it is wide for that long."""
    if stored.is_packed or stored.part.dtype not in SIXTEEN_BIT:
        return 0
    return 2 * stored.elements if _cast_back(stored, setting) else 0


def _cast_back(stored: StoredTensor, setting: Setting) -> bool:
    """Whether TRL casts a tensor back by one of its names (trl/trainer/utils.py, peft_module_casting_to_bf16)."""
    if not casts_back(setting) or stored.module.kind not in (ModuleKind.EMBEDDING, ModuleKind.HEAD):
        return False
    return any(part in name for name in (stored.name, *stored.also) for part in CASTS_BACK)
