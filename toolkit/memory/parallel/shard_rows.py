"""The parameters of a model as fully_shard has them: each cut along its rows, those of a unit gathered together.

Sources: torch/distributed/fsdp/_fully_shard/_fsdp_param.py (padding of rows, init_dtype_attrs) and _fsdp_collectives.py
(_get_all_gather_input_metadatas: what has several dtypes comes as bytes) of torch 2.13; accelerate 1.14
utils/fsdp_utils.py, fsdp2_prepare_model (incompatible_params4bit).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from toolkit.frozen import frozen
from toolkit.memory.architecture import Architecture, Module, ModuleKind
from toolkit.memory.parallel.units import rounding
from toolkit.memory.size import BYTES
from toolkit.memory.weights.adapter_dtypes import adapter_dtype
from toolkit.memory.weights.linear_storage import FOUR_BIT
from toolkit.memory.weights.lora import adapters_of
from toolkit.memory.weights.storage import FLOATS, ITEM_BYTES, StoredTensor, storage_of
from toolkit.memory.weights.sums import reads_text, upcast_bytes
from toolkit.spec.settings.setting import Setting

EMBEDDING, END, LAYERS = "embedding", "end", "layers"
UNSHARDED = "uint8"
"""The dtype of packed weights that no GPU shares with another."""
MATRICES = {"a": 0, "b": 1}

Unit = tuple[str, str, int]


@frozen
class Gathered:
    """A unit while it is gathered: its bytes, and the elements of what is trained of it, both with padded rows.

    `part` are the bytes of a GPU's part of it, as it is held.
    """

    bytes: int = 0
    trained: int = 0
    part: int = 0


@frozen
class Rows:
    """The units of a model: the layers in order, the embedding and the end, and what of it one GPU holds.

    `held` and `rounding` are bytes of the GPU's part of the weights and of what every GPU has all of: scales of packed
    weights, and packed weights that are no floating numbers; `whole` are those alone. `shared` are the bytes of all
    that is shared out, adapters too, and `parts` the GPU's part of it. `beside` are trained elements of embeddings of
    anything but tokens, `last` those of the end's last tensor.
    """

    layers: tuple[Gathered, ...]
    embedding: Gathered
    end: Gathered
    held: int
    rounding: int
    whole: int
    shared: int
    parts: int
    beside: int = 0
    last: int = 0

    @property
    def layer(self) -> Gathered:
        """The most that any layer has of each; and the part of the first."""
        every = self.layers or (Gathered(),)
        return Gathered(max(one.bytes for one in every), max(one.trained for one in every), every[0].part)


@frozen
class _Parameter:
    """One tensor: its elements and a GPU's largest part of them, and bytes of one as it is held and as gathered.

    What is no part of a unit is `whole`.
    """

    module: Module
    elements: int
    part: int
    held: int
    gathered: int
    trained: bool
    whole: bool = False
    is_weight: bool = True

    @property
    def bytes(self) -> int:
        return self.part * self.held


def rows_of(architecture: Architecture, setting: Setting) -> Rows:
    """The units of a model whose tensors are cut into rows for so many GPUs; the first GPU's parts are the largest."""
    gpus = setting.parallel.gpus
    parameters = [*_weights(architecture, setting), *_adapters(architecture, setting)]
    units: dict[Unit, Gathered] = {}
    largest = last = 0
    for one in parameters:
        for unit in () if one.whole else _units(one.module):
            before, mine = units.get(unit, Gathered()), one.part * gpus if one.trained else 0
            units[unit] = Gathered(
                before.bytes + one.part * gpus * one.gathered, before.trained + mine, before.part + one.bytes
            )
            largest = max(largest, mine) if unit[0] == EMBEDDING else largest
            last = mine if unit[0] == END else last
    layers = tuple(units[unit] for unit in sorted(units) if unit[0] == LAYERS)
    embedding, end = (units.get(unit, Gathered()) for unit in ((EMBEDDING, "", 0), (END, "", 0)))
    weights = [one for one in parameters if one.is_weight]
    whole = [one for one in weights if one.whole]
    return Rows(
        layers=layers,
        embedding=embedding,
        end=end,
        held=sum(one.bytes * one.module.count for one in weights),
        rounding=sum(rounding(one.bytes) * one.module.count for one in weights),
        whole=sum(one.bytes * one.module.count for one in whole),
        shared=sum(one.elements * one.held * one.module.count for one in parameters if not one.whole),
        parts=sum(one.bytes * one.module.count for one in parameters if not one.whole),
        beside=embedding.trained - largest,
        last=last,
    )


def part_of(shape: tuple[int, ...], gpus: int) -> int:
    """Elements of the largest part of a tensor that is cut along its rows."""
    rows, *rest = shape
    return -(-rows // gpus) * prod(rest)


def _weights(architecture: Architecture, setting: Setting) -> Iterator[_Parameter]:
    gpus, full = setting.parallel.gpus, setting.method == "full"
    for tensor in storage_of(architecture, setting):
        module, item = tensor.module, ITEM_BYTES[tensor.part.dtype]
        if _stays_whole(tensor, setting):
            size = tensor.part.elements
            yield _Parameter(module, size, size, item, item, trained=False, whole=True)
        elif tensor.is_packed:  # a column of elements of the dtype in which it is stored
            item = BYTES[setting.parallel.quant_storage or setting.compute]
            rows = -(-tensor.part.elements // item)
            yield _Parameter(module, rows, part_of((rows, 1), gpus), item, item, trained=False)
        else:
            dtype = "fp32" if upcast_bytes(tensor, setting) else tensor.part.dtype
            part, gathered = part_of(tensor.tensor.shape, gpus), _gathered_item(dtype, setting)
            yield _Parameter(module, tensor.part.elements, part, ITEM_BYTES[dtype], gathered, trained=full)


def _stays_whole(tensor: StoredTensor, setting: Setting) -> bool:
    """Whether every GPU has all of a tensor: scales are no parameters, and accelerate leaves out packed bytes.

    DTensors of them would lose what they mean to bitsandbytes.
    """
    packed = setting.weights in FOUR_BIT and tensor.is_packed
    return not tensor.part.parameter or (packed and setting.parallel.quant_storage == UNSHARDED)


def _gathered_item(dtype: str, setting: Setting) -> int:
    """Bytes of an element as it is gathered: in the dtype of a policy of mixed precision, if there is one."""
    return ITEM_BYTES[setting.compute if setting.amp and dtype in FLOATS else dtype]


def _adapters(architecture: Architecture, setting: Setting) -> Iterator[_Parameter]:
    """LoRA's matrices: parameters of the unit of what they stand on."""
    match, lora, dtype = adapters_of(architecture, setting), setting.lora, adapter_dtype(setting)
    if match is None or lora is None or dtype is None:
        return
    for adapter in match.adapters:
        for place, shape in enumerate((*adapter.shapes(lora.rank), *adapter.vectors(lora))):
            part, gathered = part_of(shape, setting.parallel.gpus), _gathered_item(dtype, setting)
            trained = place != MATRICES.get(lora.frozen or "")
            size, held = prod(shape), BYTES[dtype]
            yield _Parameter(adapter.module, size, part, held, gathered, trained=trained, is_weight=False)


def _units(module: Module) -> list[Unit]:
    """The units that have such tensors: one for each layer; none where no text passes, for nothing gathers it then."""
    stack, layer, _ = module.path.partition("{}")
    if layer:
        return [(LAYERS, stack, int(name.partition(".")[0])) for name in module.layers] if reads_text(module) else []
    return [(EMBEDDING if module.kind is ModuleKind.EMBEDDING else END, "", 0)]
