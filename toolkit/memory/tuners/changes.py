"""Methods that change a weight or its result: DEFT and GLoRA (peft 0.21, tuners/*/layer.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toolkit.memory.architecture import Module
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.memory.tuners.added import Added, Adds, Base


def _deft(base: Base) -> Iterator[Added]:
    """At most as many directions as a weight has outputs, and rows that replace them (tuners/deft/layer.py)."""
    if base.rank < 1:
        raise UnsupportedRow("adapters", "peft refuses a rank of 0")
    for module in base.modules:
        rank = min(base.rank, module.out_features)
        yield Added((module.out_features, rank), module.count)
        if not base.options["para"]:
            yield Added((rank, module.in_features), module.count)


def _glora(base: Base) -> Iterator[Added]:
    """A and B of a weight; C, D and E of a bias, zeros in the dtype of the weights where there is none."""
    of_weights, of_coupling, of_biases = (base.options[name] for name in ("config_a_b", "config_c", "config_d_e"))
    for module in base.modules:
        outputs, inputs = module.out_features, module.in_features
        biased = any(tensor.name == "bias" for tensor in module.tensors)
        yield from _path(base, module, of_weights, (outputs, inputs), (outputs, 1), 2)
        yield from _path(base, module, of_coupling if biased else "none", (inputs, 1), (inputs, 1), 1)
        yield from _path(base, module, of_biases if biased else "none", (outputs,), (outputs,), 2)


def _path(
    base: Base, module: Module, form: object, whole: tuple[int, ...], vector: tuple[int, ...], times: int
) -> Iterator[Added]:
    """A change of a given shape in one of its forms (tuners/glora/layer.py, update_layer)."""
    count = times * module.count
    if form == "lora":
        yield Added((whole[0], base.rank), count)
        yield Added((base.rank, whole[1]), count)
    elif form == "none":
        yield Added(whole, count, trained=False, item=BYTES[base.setting.weights])
    else:
        yield Added(vector if form == "vector" else (1,), count)


CHANGES: Mapping[str, Adds] = {"deft": _deft, "glora": _glora}
"""What each method adds."""
