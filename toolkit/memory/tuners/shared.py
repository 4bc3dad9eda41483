"""Methods whose tensors are shared among linears, or found by factoring their sides (peft 0.21, tuners/)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from toolkit.memory.architecture import Module
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tuners.added import Added, Adds, Base
from toolkit.spec.fields.peft_methods import Option

FP32, INT64 = 4, 8


def _vera(base: Base) -> Iterator[Added]:
    """Two vectors per module; all share a random A and B, as wide as the widest module (tuners/vera/model.py)."""
    for module in base.modules:
        yield Added((module.out_features,), module.count)
        yield Added((base.rank,), module.count)
    outputs, inputs = base.widest
    yield Added((base.rank, inputs), trained=False, item=FP32)
    yield Added((outputs, base.rank), trained=False, item=FP32)


def _pvera(base: Base) -> Iterator[Added]:
    """As VeRA, with a mean and a spread for each scale of the rank (tuners/pvera/layer.py, update_layer)."""
    for module in base.modules:
        yield Added((module.out_features,), module.count)
        yield Added((2 * base.rank,), module.count)
    outputs, inputs = base.widest
    yield Added((2 * base.rank, inputs), trained=False, item=base.item)
    yield Added((outputs, base.rank), trained=False, item=base.item)


def _unilora(base: Base) -> Iterator[Added]:
    """One vector; for each element of a LoRA of that rank an index into the vector, and a scale (tuners/unilora/)."""
    if base.rank < 1:
        raise UnsupportedRow("adapters", "peft refuses a rank of 0")
    yield Added((base.number("theta_d_length"),))
    for module in base.modules:
        for shape in ((base.rank, module.in_features), (module.out_features, base.rank)):
            yield Added(shape, module.count, trained=False, item=INT64)
            yield Added(shape, module.count, trained=False, item=base.item)


def _randlora(base: Base) -> Iterator[Added]:
    """Scales of as many bases as make a full rank; the bases are shared (tuners/randlora/model.py)."""
    for module in base.modules:
        narrow = min(module.in_features, module.out_features)
        bases = -(-narrow // base.rank)
        yield Added((base.rank, bases), module.count)
        yield Added((bases, narrow), module.count)
    narrow, wide = sorted(base.widest)
    yield Added((base.rank, 1, narrow), trained=False, item=FP32)
    yield Added((wide, -(-narrow // base.rank), base.rank), trained=False, item=FP32)


def _vblora(base: Base) -> Iterator[Added]:
    """Logits for each piece of an adapter over one bank of vectors (tuners/vblora/layer.py)."""
    vectors, length = base.number("num_vectors"), base.number("vector_length")
    for module in base.modules:
        if module.in_features % length or module.out_features % length:
            raise UnsupportedRow("adapters", f"peft refuses vectors of {length} that do not divide {module.leaf}")
        yield Added((base.rank, module.in_features // length, vectors), module.count)
        yield Added((module.out_features // length, base.rank, vectors), module.count)
    yield Added((vectors, length))


def _lily(base: Base) -> Iterator[Added]:
    """One A per `stride_a` layers of a target, B for all of them, a router for each (tuners/lily/model.py)."""
    if base.rank < 1:
        raise UnsupportedRow("adapters", "peft refuses a rank of 0")
    stride, experts = base.number("stride_a"), base.number("num_b")
    alike: Counter[tuple[str, int, int]] = Counter()
    for module in base.modules:
        alike[_sharing_target(base, module), module.out_features, module.in_features] += module.count
        yield Added((experts, base.rank), module.count)
    for (_, outputs, inputs), layers in alike.items():
        yield Added((base.rank, inputs), -(-layers // stride))
        yield Added((experts * base.rank, outputs))


def lily_shares(base: Base, module: Module) -> dict[str, Option]:
    """How many layers share a module's A on average, and how many share its B."""
    of_one = sum(_sharing_target(base, one) == _sharing_target(base, module) for one in base.modules)
    if of_one > 1:
        raise UnsupportedRow(
            "activations", f"no formula for a pass with lily where {module.leaf} differs between layers yet"
        )
    adapters = -(-module.count // base.number("stride_a"))
    return {"shares_a": max(1, module.count // adapters), "shares_b": module.count}


def _sharing_target(base: Base, module: Module) -> str:
    """The one target with which a module's path ends: modules with the same target and shape share adapters."""
    if any(part.isdigit() for target in base.targets for part in target.split(".")):
        raise UnsupportedRow("adapters", "no rule for lily on some layers alone yet")
    ends = [target for target in base.targets if module.path.endswith(target)]
    if len(ends) != 1:
        said = ", ".join(ends) or "targets that are not a list of names"
        raise UnsupportedRow("adapters", f"no rule for which of lily's adapters {module.leaf} shares with {said} yet")
    return ends[0]


def _lokr(base: Base) -> Iterator[Added]:
    """Two factors, each of them low-rank where that is smaller (tuners/lokr/layer.py)."""
    for module in base.modules:
        for shape, rank in kronecker(base, module):
            if rank:
                yield Added((shape[0], rank), module.count)
                yield Added((rank, shape[1]), module.count)
            else:
                yield Added(shape, module.count)


def kronecker(base: Base, module: Module) -> Iterator[tuple[tuple[int, int], int]]:
    """The shapes of the two factors of a module's change, and the rank of each: 0 where it is whole."""
    factor = base.number("decompose_factor")
    rows, columns = _factors(module.out_features, factor), _factors(module.in_features, factor)
    for side, decomposes in enumerate((bool(base.options["decompose_both"]), True)):
        shape = (rows[side], columns[side])
        yield shape, base.rank if decomposes and 2 * base.rank < max(shape) else 0


def kronecker_options(base: Base, module: Module) -> dict[str, Option]:
    """The same as options of an adapter."""
    (first, first_rank), (second, second_rank) = kronecker(base, module)
    return {
        "first_rows": first[0], "first_columns": first[1], "first_rank": first_rank,
        "second_rows": second[0], "second_columns": second[1], "second_rank": second_rank,
    }  # fmt: skip


def _factors(whole: int, factor: int) -> tuple[int, int]:
    """Two factors: the requested one if it divides, else the largest up to it and the root; -1 for no bound."""
    if factor > 0 and whole % factor == 0:
        return factor, whole // factor
    most = whole if factor == -1 else factor
    small = max((n for n in range(1, min(most, int(whole**0.5)) + 1) if whole % n == 0), default=1)
    return small, whole // small


SHARED: Mapping[str, Adds] = {
    "lily": _lily,
    "lokr": _lokr,
    "pvera": _pvera,
    "randlora": _randlora,
    "unilora": _unilora,
    "vblora": _vblora,
    "vera": _vera,
}
"""What each method adds."""
