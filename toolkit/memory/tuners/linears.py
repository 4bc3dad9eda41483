"""Methods that add the same tensors to each linear that they adapt (peft 0.21, tuners/*/layer.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.version import Version

from toolkit.memory.architecture import Module
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tuners.added import Added, Adds, Base

OFT_IN_TRIANGLES, OFT_OF_INPUTS = Version("0.16"), Version("0.14")
"""peft pull requests 2575 and 1996: before the first, a block's rotation was a whole matrix; before the second, it
rotated outputs."""

FP32 = 4
INT32 = 4
INT64 = 8


def _low_rank(base: Base) -> Iterator[Added]:
    """HiRA: A and B as LoRA has them."""
    for module in base.modules:
        yield Added((base.rank, module.in_features), module.count)
        yield Added((module.out_features, base.rank), module.count)


def _adalora(base: Base) -> Iterator[Added]:
    """Three factors, and the rank as a parameter, which is trained if it is made for a model on the GPU."""
    yield from _low_rank(base)
    for module in base.modules:
        yield Added((base.rank, 1), module.count)
        yield Added((1,), module.count)


def _delora(base: Base) -> Iterator[Added]:
    """A, B and their length; the norms of the weight's columns are stored."""
    yield from _low_rank(base)
    for module in base.modules:
        yield Added((1,), module.count)
        yield Added((module.in_features,), module.count, trained=False, item=FP32)


def _loha(base: Base) -> Iterator[Added]:
    for module in base.modules:
        yield Added((module.out_features, base.rank), 2 * module.count)
        yield Added((base.rank, module.in_features), 2 * module.count)


def _ia3(base: Base) -> Iterator[Added]:
    feedforward = base.options["feedforward_modules"]
    assert isinstance(feedforward, tuple)
    if not set(feedforward) <= set(base.targets):
        raise UnsupportedRow("adapters", f"feedforward_modules {', '.join(feedforward)} are not among the targets")
    for module in base.modules:
        inputs = scales_inputs(base, module)
        yield Added((1, module.in_features) if inputs else (module.out_features, 1), module.count)


def scales_inputs(base: Base, module: Module) -> bool:
    """Whether IA3 scales a module's input, not its output."""
    feedforward = base.options["feedforward_modules"]
    assert isinstance(feedforward, tuple)
    return any(f".{module.path}".endswith(f".{name}") for name in feedforward)


def _hra(base: Base) -> Iterator[Added]:
    for module in base.modules:
        yield Added((module.in_features, base.rank), module.count)


def _peanut(base: Base) -> Iterator[Added]:
    """Two matrices over the outputs."""
    for module in base.modules:
        yield Added((base.rank, module.out_features), module.count)
        yield Added((module.out_features, base.rank), module.count)


def _road(base: Base) -> Iterator[Added]:
    """Angles and factors: for each pair of outputs, for each output, or two for each output."""
    doubled = {"road_1": 1, "road_2": 2, "road_4": 4}[str(base.options["variant"])]
    for module in base.modules:
        yield Added((module.out_features * doubled // 2,), 2 * module.count)


def _beft(base: Base) -> Iterator[Added]:
    for module in base.modules:
        yield Added((1, module.out_features), module.count)


def _miss(base: Base) -> Iterator[Added]:
    form, rank, mini = base.options["form"], base.rank, base.number("mini_r")
    for module in base.modules:
        outputs, inputs = module.out_features, module.in_features
        if form == "bat":
            _divides(rank, inputs, outputs)
            yield Added((outputs // rank, rank, rank), module.count)
        elif form == "mini":
            _divides(mini, outputs)
            yield Added((rank, mini), module.count)
        else:
            yield Added((rank, outputs), module.count)


def _c3a(base: Base) -> Iterator[Added]:
    block = base.number("block_size")
    for module in base.modules:
        _divides(block, module.in_features, module.out_features)
        yield Added((module.out_features // block, module.in_features // block, block), module.count)


def _boft(base: Base) -> Iterator[Added]:
    """Rotations of blocks and a factor for each output; a permutation is stored as a square matrix."""
    block = base.number("block_size")
    for module in base.modules:
        _divides(block, module.in_features)
        yield Added((1, module.in_features // block, block, block), module.count)
        yield Added((module.out_features, 1), module.count)
        square = (1, module.in_features, module.in_features)
        yield Added(square, module.count, trained=False, item=FP32, stays=True)


def _oft(base: Base) -> Iterator[Added]:
    """The upper triangle of each block's rotation; its rows and columns are stored as indices."""
    if base.before(OFT_IN_TRIANGLES):
        yield from _whole_rotations(base)
        return
    for module in base.modules:
        blocks, block = oft_blocks(base, module)
        triangle = block * (block - 1) // 2
        yield Added((1 if base.options["block_share"] else blocks, triangle), module.count)
        yield Added((triangle,), 2 * module.count, trained=False, item=INT64)


def _whole_rotations(base: Base) -> Iterator[Added]:
    """Whole matrices of blocks, and a factor for each output; before 0.14 blocks of the outputs, and no factor."""
    of_outputs = base.before(OFT_OF_INPUTS)
    for module in base.modules:
        if of_outputs:
            if base.rank < 1 or base.number("block_size"):
                raise UnsupportedRow("adapters", "OFT of peft before 0.14 has a rank, and no block_size")
            blocks, block = base.rank, -(-module.out_features // base.rank)
        else:
            blocks, block = oft_blocks(base, module)
        yield Added((1 if base.options["block_share"] else blocks, block, block), module.count)
        if not of_outputs:
            yield Added((module.out_features, 1), module.count)


def oft_blocks(base: Base, module: Module) -> tuple[int, int]:
    """How many blocks the inputs of a module are divided into, and how wide each is."""
    side = base.number("block_size")
    if bool(side) == bool(base.rank):
        raise UnsupportedRow("adapters", "OFT takes a rank or a block_size: set the other to 0")
    inputs = module.in_features
    blocks = _nearest_divisor(inputs, base.rank) if base.rank else inputs // _nearest_divisor(inputs, side)
    return blocks, inputs // blocks


def _nearest_divisor(whole: int, wanted: int) -> int:
    """The divisor nearest to a number; of two equally near ones the smaller (OFTLayer.adjust_oft_parameters)."""
    if wanted >= whole:
        return whole
    lower = next(number for number in range(wanted, 0, -1) if whole % number == 0)
    higher = next(number for number in range(wanted, whole + 1) if whole % number == 0)
    return lower if wanted - lower <= higher - wanted else higher


def _frequencies(base: Base) -> Iterator[Added]:
    """FourierFT and WaveFT; their positions stay in main memory."""
    for module in base.modules:
        yield Added((base.number("n_frequency"),), module.count)


def _shira(base: Base) -> Iterator[Added]:
    """As many weights as LoRA of that rank has; their rows and columns are stored from the first pass on."""
    for module in base.modules:
        weights = base.rank * (module.in_features + module.out_features)
        if weights > module.in_features * module.out_features:
            raise UnsupportedRow("adapters", f"SHiRA of rank {base.rank} has more weights than {module.leaf}")
        yield Added((weights,), module.count)
        yield Added((2, weights), module.count, trained=False, item=INT32)


def _gralora(base: Base) -> Iterator[Added]:
    blocks, hybrid = base.number("gralora_k"), base.number("hybrid_r")
    for module in base.modules:
        _divides(blocks, module.in_features, module.out_features, base.rank)
        yield Added((blocks, module.in_features // blocks, base.rank), module.count)
        yield Added((blocks, base.rank, module.out_features // blocks), module.count)
        if hybrid:
            yield Added((hybrid, module.in_features), module.count)
            yield Added((module.out_features, hybrid), module.count)


def _divides(part: int, *wholes: int) -> None:
    for whole in wholes:
        if part < 1 or whole % part:
            raise UnsupportedRow("adapters", f"peft refuses blocks of {part} that do not divide {whole}")


EACH: Mapping[str, Adds] = {
    "adalora": _adalora,
    "beft": _beft,
    "boft": _boft,
    "c3a": _c3a,
    "delora": _delora,
    "fourierft": _frequencies,
    "gralora": _gralora,
    "hira": _low_rank,
    "hra": _hra,
    "ia3": _ia3,
    "loha": _loha,
    "miss": _miss,
    "oft": _oft,
    "peanut": _peanut,
    "road": _road,
    "shira": _shira,
    "waveft": _frequencies,
}
"""What each method adds to its modules."""
