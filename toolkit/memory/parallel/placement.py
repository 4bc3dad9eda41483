"""Which part of a model `device_map="auto"` puts on which GPU.

accelerate lets each GPU but the last have an equal share and a quarter more than one layer, fills the GPUs in the
model's order, and splits no layer. Sources: accelerate utils/modeling.py, get_balanced_memory and
infer_auto_device_map; since 5.0 transformers has its own of both (integrations/accelerate.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from packaging.version import Version

from toolkit.facts.gpus import find_gpu
from toolkit.facts.names import UnknownName
from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture, ModuleKind
from toolkit.memory.libraries.layer_tables import layer_tables
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.libraries.versions import older
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.weights.linear_storage import QUANTIZED
from toolkit.memory.weights.storage import StoredTensor, storage_of
from toolkit.spec.settings.setting import Setting

OWN_PLACEMENT = Version("5.0")
"""Since then transformers takes the largest layer; accelerate takes the first."""
LARGEST_LEAF = Version("5.18")
"""Since then transformers weighs it against the largest leaf; before, as accelerate does, against the mean of all."""

NORM_BEFORE = "model.decoder.final_layer_norm"
"""OPT makes its last norm before its layers, so that it lies with the embeddings (modeling_opt.py, OPTDecoder)."""

KEPT_FREE = 10
"""One part in so many that quantizers of bitsandbytes leave free (quantizer_bnb_4bit.py, adjust_max_memory)."""


@frozen
class Stage:
    """What one GPU has of a model: layers `first` up to but not including `end`, and what lies around them.

    It `hands_on` what its last layer gives to a layer on the next GPU. It `turns` where the model makes its angles. A
    `scheduled` one is run by a process of its own, with several micro-batches on their way.
    """

    gpu: int
    first: int
    end: int
    embeds: bool
    norms: bool
    projects: bool
    hands_on: bool = False
    turns: bool = True
    scheduled: bool = False

    @property
    def layers(self) -> int:
        """How many layers."""
        return self.end - self.first


@dataclass(slots=True)
class _Node:
    """A module of the model's tree by its size in bytes; a leaf is not split."""

    name: str
    size: int = 0
    children: dict[str, _Node] = field(default_factory=dict)

    def leaves(self) -> Iterator[_Node]:
        if not self.children:
            yield self
        for child in self.children.values():
            yield from child.leaves()


@frozen
class Placement:
    """The GPUs that get anything, in order; the bytes that each but the last may get, and that the last one gets."""

    stages: tuple[Stage, ...]
    share: int
    last: int


_PLACED: dict[tuple[object, ...], tuple[Architecture, Placement]] = {}
"""Placements, each with its architecture: while that is kept, its id stays its own."""
MAX_CACHED = 1024


def stages(architecture: Architecture, setting: Setting) -> tuple[Stage, ...]:
    """The GPUs that get anything, in order; refuses by name where that depends on what is free on them."""
    stack = setting.stack
    key = (id(architecture), setting.weights, setting.double_quant, setting.compute, setting.parallel.gpus)
    found = _PLACED.get((*key, stack.trainer, stack.label()))
    if found is None:
        if len(_PLACED) >= MAX_CACHED:
            _PLACED.clear()
        found = _PLACED[*key, stack.trainer, stack.label()] = architecture, placement(architecture, setting)
    _refuse_full(found[1], setting)
    return found[1].stages


def placement(architecture: Architecture, setting: Setting) -> Placement:
    """Where everything goes, on cards with room for a balanced share."""
    root = _tree(architecture, setting)
    gpus = setting.parallel.gpus
    share = root.size // gpus + _more(architecture, root, setting)
    if setting.weights in QUANTIZED:
        share -= share // KEPT_FREE
    placed = _fill(list(root.children.values()), share, gpus)
    last = sum(leaf.size for gpu, leaf in placed if gpu == gpus - 1)
    kept = behaviour(architecture, setting)
    each_turns = kept.caches_rotary or bool(kept.last_angles)
    where = _stages_of([(gpu, leaf.name) for gpu, leaf in placed], architecture, each_turns=each_turns)
    return Placement(tuple(where), share, last)


def _refuse_full(found: Placement, setting: Setting) -> None:
    """Raise where a card may not have room for what it would get: what is free on it then decides."""
    card = find_gpu(setting.gpu) if setting.gpu is not None else None
    if card is None or isinstance(card, UnknownName):
        return
    free = card.usable_low - card.context_high
    if setting.weights in QUANTIZED:
        free -= free // KEPT_FREE
    if max(found.share, found.last) > free:
        raise UnsupportedRow(
            "parallel",
            f"a GPU would get up to {max(found.share, found.last):,} bytes of weights, and {free:,} may be all that is "
            "free: what is free on each decides which layers it gets",
        )


def _tree(architecture: Architecture, setting: Setting) -> _Node:
    """The modules that accelerate sees, in the model's order: embeddings, layers, norm, output projection."""
    root = _Node("")
    caches = sum(layer_tables(architecture, setting, setting.compute))
    for tensor in sorted(storage_of(architecture, setting), key=_order):
        each = planned_bytes(tensor) // tensor.module.count
        stem, within, _ = tensor.module.path.partition("{}")
        for name in tensor.module.layers:
            layer = name.partition(".")[0]
            _grow(root, _steps(f"{stem}{layer}" if within else tensor.module.path), each)
    for leaf in list(root.leaves()):
        if caches and _layer(leaf.name) is not None:
            _grow(root, _steps(leaf.name), caches)
    return root


def _steps(path: str) -> list[str]:
    """The names of a module and of all that it is in, outermost first."""
    names = path.split(".")
    return [".".join(names[: end + 1]) for end in range(len(names))]


def _grow(root: _Node, steps: Iterable[str], size: int) -> None:
    node = root
    node.size += size
    for step in steps:
        node = node.children.setdefault(step, _Node(step))
        node.size += size


def _order(tensor: StoredTensor) -> int:
    """Embeddings come first and the head last; what is normed after the layers comes after them, but in OPT."""
    module = tensor.module
    if module.kind is ModuleKind.HEAD:
        return 3
    if module.path == NORM_BEFORE:
        return 0
    if "{}" in module.path:
        return 1
    return 0 if module.kind is ModuleKind.EMBEDDING or "embed" in module.path else 2


def planned_bytes(tensor: StoredTensor) -> int:
    """What the placement takes a tensor for: bitsandbytes' weights without their scales, all else as it is stored."""
    if tensor.is_packed and not tensor.part.parameter and tensor.part.name.startswith((".absmax", ".quant", ".nested")):
        return 0
    return 0 if tensor.part.name in (".offset", ".SCB") else tensor.bytes


def _more(architecture: Architecture, root: _Node, setting: Setting) -> int:
    """What a share has beyond its part of the model."""
    leaves = list(root.leaves())
    layers = [leaf.size for leaf in leaves if _layer(leaf.name) is not None]
    if older(setting, "transformers", LARGEST_LEAF):
        modules = sum(module.count for module in architecture.modules if module.tensors)
        layer = layers[0] if older(setting, "transformers", OWN_PLACEMENT) else max(layers)
        return int(1.25 * max(layer, root.size // modules))
    inside: Counter[str] = Counter()
    for tensor in storage_of(architecture, setting):
        inside[tensor.module.path] += planned_bytes(tensor) // tensor.module.count
    return int(1.25 * max(*layers, *inside.values()))


def _fill(nodes: list[_Node], share: int, gpus: int) -> list[tuple[int, _Node]]:
    """Every leaf with its GPU. The first GPU keeps room for the largest leaf that is still to come."""
    placed: list[tuple[int, _Node]] = []
    gpu, used = 0, 0
    while nodes:
        node = nodes.pop(0)
        room = max((leaf.size for one in nodes for leaf in one.leaves()), default=0) if gpu == 0 else 0
        if gpu == gpus - 1 or used + node.size <= share - room:
            used += node.size
            placed += [(gpu, leaf) for leaf in node.leaves()]
        elif node.children:
            nodes = [*node.children.values(), *nodes]
        else:
            gpu, used, nodes = gpu + 1, 0, [node, *nodes]
    return placed


def _stages_of(placed: list[tuple[int, str]], architecture: Architecture, *, each_turns: bool) -> Iterator[Stage]:
    """What each GPU got. An output projection that shares the embedding's weight goes where that is.

    The module that makes angles comes after the norm, unless `each_turns`: each layer has one of its own.
    """
    first = next((at for at, (_, name) in enumerate(placed) if _layer(name) is not None), len(placed))
    before = {name for _, name in placed[:first]}
    projects = {module.path for module in architecture.modules if module.kind is ModuleKind.HEAD and module.tensors}
    ends = {name for _, name in placed if _layer(name) is None} - (before - {NORM_BEFORE}) - projects
    count = sum(_layer(name) is not None for _, name in placed)
    for gpu in sorted({gpu for gpu, _ in placed}):
        names = [name for where, name in placed if where == gpu]
        layers = [layer for name in names if (layer := _layer(name)) is not None]
        around = {name for name in names if _layer(name) is None}
        embeds, norms = bool(around & (before - {NORM_BEFORE})), bool(around & ends)
        yield Stage(
            gpu=gpu,
            first=min(layers, default=0),
            end=max(layers, default=-1) + 1,
            embeds=embeds,
            norms=norms,
            projects=bool(around & projects) or (embeds and bool(architecture.tied)),
            hands_on=bool(layers) and max(layers) + 1 < count,
            turns=norms or each_turns,
        )


def _layer(name: str) -> int | None:
    index = name.rpartition(".")[2]
    return int(index) if index.isdigit() else None
