"""Hypotheses about parameters times bytes: a rounded count, or packed weights without their scales."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from toolkit.checks.why.hypothesis import Reproduction, Why
from toolkit.memory.weights.storage import ITEM_BYTES, storage_of
from toolkit.quantity import display_bytes, display_number

_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d{1,4}(?:[._]\d{1,3})?)([BbMm])(?![A-Za-z0-9])")
_PACKED_BITS = {"nf4": 4, "fp4": 4, "mxfp4": 4, "gptq-int4": 4, "awq-int4": 4, "int8": 8, "gptq-int8": 8, "fp8": 8}


def named_size(model: str) -> Fraction | None:
    """The size in a model's name, in parameters: 7,000,000,000 for "Qwen2.5-Coder-7B"."""
    found = _SIZE.search(model.rsplit("/", 1)[-1].replace("-", " "))
    if found is None:
        return None
    return Fraction(found[1].replace("_", ".")) * (10**9 if found[2] in "Bb" else 10**6)


def bytes_per_parameter(why: Why) -> Fraction | None:
    """What the quantity takes for each parameter, without constants; 1 for a count, None where it is no product."""
    setting = why.estimate.setting
    if why.quantity == "parameters":
        return Fraction(1)
    if why.quantity == "weights":
        bits = _PACKED_BITS.get(setting.weights)
        return Fraction(bits, 8) if bits else Fraction(ITEM_BYTES[setting.weights])
    if setting.method != "full":
        return None
    if why.quantity == "gradients":
        return Fraction(ITEM_BYTES[setting.gradients])
    if why.quantity == "optimizer_states" and setting.optimizer == "adamw":
        return Fraction(2 * ITEM_BYTES[setting.optimizer_states])
    return None


def size_in_the_name(why: Why) -> Iterator[Reproduction]:
    """The size in the model's name taken for its number of parameters."""
    named, each = named_size(why.situation.facts.id), bytes_per_parameter(why)
    if named is None or each is None:
        return
    if why.quantity == "parameters":
        yield Reproduction(named, lambda: f"{display_number(named)} is the size in the model's name")
        return
    said = f"{display_number(named)} parameters (the size in the name)"
    yield Reproduction(named * each, lambda: _product(why, said))


def bits_alone(why: Why) -> Iterator[Reproduction]:
    """Every parameter at the bits of the packed form, without scales and without what stays in 16 bit."""
    each = bytes_per_parameter(why)
    parameters = why.situation.architecture().parameters
    if each is not None and why.estimate.setting.weights in _PACKED_BITS:
        yield Reproduction(parameters * each, lambda: _product(why, f"{parameters:,} parameters"))


def _product(why: Why, parameters: str) -> str:
    each = bytes_per_parameter(why)
    assert each is not None
    return f"{parameters} × {float(each):g} bytes reproduces it{_unpacked(why) if each < 1 else ''}"


def _unpacked(why: Why) -> str:
    """The bytes of what the packed form leaves unpacked, and of its scales."""
    stored = storage_of(why.situation.architecture(), why.estimate.setting)
    plain = sum(tensor.bytes for tensor in stored if not tensor.is_packed)
    elements = sum(tensor.elements for tensor in stored if not tensor.is_packed)
    scales = sum(t.bytes for t in stored if t.is_packed and not t.part.parameter)
    reading = why.case.reading
    return (
        f"; {elements:,} parameters stay in 16 bit ({display_bytes(plain, reading)}),"
        f" and the scales of the packed ones take {display_bytes(scales, reading)}"
    )
