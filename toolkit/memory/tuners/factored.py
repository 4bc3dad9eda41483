"""Methods that factor each weight that they adapt by its singular values (peft 0.21, tuners/)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from packaging.version import Version

from toolkit.memory.architecture import Module
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.memory.tuners.added import Added, Adds, Base
from toolkit.spec.fields.peft_methods import Option
from toolkit.spec.fields.rank_kind import ranks_of

OSF_KEEPS_WEIGHTS = Version("0.21")
"""Since then OSF adds a change to the weight's result."""

FP32 = 4
INT64 = 8


def _tinylora(base: Base) -> Iterator[Added]:
    """One vector per group of modules; each module has its factors and its own random matrices (tinylora/layer.py)."""
    vector = base.number("u")
    yield Added((vector,), _groups(base))
    for module in base.modules:
        rank = min(_rank(base), module.in_features, module.out_features)
        for shape in ((rank, module.in_features), (module.out_features, rank), (vector, rank, rank)):
            yield Added(shape, module.count, trained=False, item=FP32)


def _groups(base: Base) -> int:
    """How many vectors are left with a share of tied modules (tinylora/model.py, _create_and_replace)."""
    tying = base.options["weight_tying"]
    assert isinstance(tying, int | float)
    return max(1, round(sum(module.count for module in base.modules) * (1.0 - tying)))


def _psoft(base: Base) -> Iterator[Added]:
    """A rotation of the rank's size and its scales; both factors, and rows and columns of a triangle (psoft/layer.py).

    The factor over the inputs is a view of all right singular vectors where they are computed on a GPU, whose solver
    stores them by rows: their storage stays. It is a copy where they are computed in main memory or by svd_lowrank, or
    where they are scaled.
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


def _osf(base: Base) -> Iterator[Added]:
    """The singular vectors and values of a weight that are trained (osf/layer.py, model.py, utils.py).

    Before 0.21 all other ones were stored as well, and each pass made the weight from both. Since then the original
    values of the trained ones are stored, and of the frozen ones the vectors over the longer side, unless there are as
    many of them as the side is long.
    """
    whole = base.before(OSF_KEEPS_WEIGHTS)
    for module in base.modules:
        sides = (module.out_features, module.in_features)
        for kept, layers in Counter(_kept(base, path, min(sides)) for path in module.paths()).items():
            if kept < 1:
                raise UnsupportedRow("adapters", f"peft refuses an effective_rank of 0 on {module.leaf}")
            left = min(sides) - kept
            low = ((sides[0], left), (left,), (left, sides[1]))
            high = ((sides[0], kept), (kept,), (kept, sides[1]))
            longer = ((sides[0], kept),) if sides[0] > sides[1] else ((kept, sides[1]),) if sides[1] > sides[0] else ()
            for shape, shared in zip(low, (1, 1, 1 if has_hooks(base) else 2), strict=True):
                yield Added(shape, layers, shared=shared)
            for shape in high if whole else (*low, *longer):
                yield Added(shape, layers, trained=False, item=base.item)
            if not whole and base.item == FP32 == BYTES.get(base.setting.weights):
                yield from _views(kept, sides, layers)


def _views(kept: int, sides: tuple[int, int], layers: int) -> Iterator[Added]:
    """What is trained, unless it is cast, is a view of all singular values and of all right vectors.

    Its storage includes the frozen ones; for the vectors, only where they are not stored themselves.
    """
    yield Added((0,), layers, trained=False, item=FP32, view_of=(kept,))
    if sides[0] >= sides[1]:
        yield Added((0,), layers, trained=False, item=FP32, view_of=(kept, sides[1]))


def has_hooks(base: Base) -> bool:
    """Whether gradients go through OSF's hooks: since 0.21 peft casts by new parameters, which have none."""
    return base.before(OSF_KEEPS_WEIGHTS) or base.item == BYTES.get(base.setting.weights)


def osf_options(base: Base, module: Module) -> dict[str, Option]:
    """How many singular vectors of a module are trained and frozen, and whether passes make its weight from them."""
    narrow = min(module.out_features, module.in_features)
    kept = {_kept(base, path, narrow) for path in module.paths()}
    if len(kept) > 1:
        raise UnsupportedRow("activations", "no formula for a pass with osf and ranks that differ by layer yet")
    [stays] = kept
    options: dict[str, Option] = {"kept": stays, "left": narrow - stays, "whole": base.before(OSF_KEEPS_WEIGHTS)}
    return {**options, "hooks": has_hooks(base), "rank_pattern": None, "effective_rank": None}


def _kept(base: Base, path: str, narrow: int) -> int:
    """How many singular vectors of a module are frozen: by the first pattern found in its path, else the default."""
    patterns = base.options["rank_pattern"]
    assert isinstance(patterns, tuple)
    named = (rank for name, rank in ranks_of(patterns) if name in path)
    rank = next(named, base.options["effective_rank"])
    assert isinstance(rank, int | float)
    return min(narrow, int(narrow * rank) if isinstance(rank, float) and rank <= 1 else int(rank))


def _adamss(base: Base) -> Iterator[Added]:
    """A vector for each cluster of a weight's rows, a number per row, and one projection of the inputs.

    With a rank of 1 the rows have one number each, however they are clustered, if no cluster is empty: K-means finds
    that many clusters wherever rows differ. With a higher rank a cluster has no more than its rows. Source:
    adamss/layer.py.
    """
    if base.number("subspace_rank") > 1:
        reason = "no rule for adamss with a subspace_rank above 1: the rows of each cluster of the weights decide"
        raise UnsupportedRow("adapters", reason)
    if base.rank < 1:
        raise UnsupportedRow("adapters", "no rule for adamss with a rank of 0")
    for module in base.modules:
        inputs = module.in_features + any(tensor.name == "bias" for tensor in module.tensors)
        rank = min(base.rank, module.out_features, inputs)
        yield Added((1, rank), min(base.number("num_subspaces"), module.out_features) * module.count)
        yield Added((module.out_features, 1), module.count)
        yield Added((rank, inputs), module.count, trained=False, item=base.item)


def _rank(base: Base) -> int:
    if base.rank < 1:
        raise UnsupportedRow("adapters", "peft refuses a rank of 0")
    return base.rank


FACTORED: Mapping[str, Adds] = {"adamss": _adamss, "osf": _osf, "psoft": _psoft, "tinylora": _tinylora}
"""What each method adds."""
