"""Methods that keep factors of each weight that they stand on, by its singular values (peft 0.21, tuners/)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toolkit.memory.architecture import Module
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tuners.added import Added, Adds, Base

FP32 = 4
INT64 = 8


def _tinylora(base: Base) -> Iterator[Added]:
    """One vector a group of modules; each module keeps its factors and its own random matrices (tinylora/layer.py)."""
    vector = base.number("u")
    yield Added((vector,), _groups(base))
    for module in base.modules:
        rank = min(_rank(base), module.in_features, module.out_features)
        for shape in ((rank, module.in_features), (module.out_features, rank), (vector, rank, rank)):
            yield Added(shape, module.count, trained=False, item=FP32)


def _groups(base: Base) -> int:
    """How many vectors a share of tying leaves (tinylora/model.py, _create_and_replace)."""
    tying = base.options["weight_tying"]
    assert isinstance(tying, int | float)
    return max(1, round(sum(module.count for module in base.modules) * (1.0 - tying)))


def _psoft(base: Base) -> Iterator[Added]:
    """A rotation of the rank's size and its scales; both factors, and rows and columns of a triangle (psoft/layer.py).

    The factor over the inputs is a view of all right singular vectors where they are found on a GPU, whose solver
    lays them out by rows: their storage stays. It is a copy of its rows where they are found in main memory, by
    svd_lowrank, or where they are scaled.
    """
    rank = _rank(base)
    rotates = bool(base.options["psoft_orth"])
    viewed = base.options["psoft_svd"] == "full" and base.options["ab_svd_init"] == "psoft_init"
    triangle = rank * (rank - 1) // 2
    for module in base.modules:
        narrow = min(module.in_features, module.out_features)
        if rank > narrow:
            raise UnsupportedRow("adapters", f"peft refuses a rank of {rank} on {module.leaf}, which has {narrow}")
        yield Added((triangle,) if rotates else (rank, rank), module.count)
        for scaled in ("psoft_mag_b", "psoft_mag_a"):
            if base.options[scaled]:
                yield Added((rank,), module.count)
        if rotates:
            yield Added((triangle,), 2 * module.count, trained=False, item=INT64)
        yield _right_factor(module, rank, narrow if viewed else rank)
        yield Added((module.out_features, rank), module.count, trained=False, item=FP32)


def _right_factor(module: Module, rank: int, rows: int) -> Added:
    shape = (rank, module.in_features)
    return Added(shape, module.count, trained=False, item=FP32, view_of=(rows, module.in_features))


def _rank(base: Base) -> int:
    if base.rank < 1:
        raise UnsupportedRow("adapters", "peft refuses a rank of 0")
    return base.rank


FACTORED: Mapping[str, Adds] = {"psoft": _psoft, "tinylora": _tinylora}
"""What each method adds."""
