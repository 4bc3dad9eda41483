"""What a static or a quantized cache does with the keys and values of one layer, as a tape follows it."""

from __future__ import annotations

from fractions import Fraction

from toolkit.frozen import frozen
from toolkit.memory.size import BYTES

SCALES = 2
"""Numbers per group: a scale and a zero point, in the dtype of the quantized tensor."""


@frozen
class Packing:
    """How a backend quantizes a cache. Sizes are bytes per element of its input, as exact fractions."""

    packed: Fraction  # what is kept
    packs: Fraction  # what packing needs beside its input and `packed`
    unpacks: Fraction  # what unpacking needs beside its result
    scale: int = 0  # bytes of one scale for all elements
    copies: bool = True  # an input that is not contiguous is copied first
    holds_old: bool = False  # the cache before a token stays until the token's keys and values are passed on

    def kept(self, elements: int) -> int:
        """The bytes of so many elements, rounded up."""
        return whole(elements * self.packed)


@frozen
class Keeping:
    """How a cache keeps one layer's keys and values: in `room` for so many tokens, or quantized by `packing`."""

    room: int = 0  # tokens of a static layer
    hands_back: bool = False  # attention gets the prompt's own keys and values
    packing: tuple[Packing, Packing] | None = None  # of keys and of values
    key_copied: bool = True  # a prompt's keys are made contiguous before they are packed
    value_copied: bool = True  # a prompt's values likewise


def whole(size: Fraction) -> int:
    """A fraction of bytes, rounded up."""
    return -(-size.numerator // size.denominator)


def quanto(dtype: str, nbits: int, group: int, axis: int) -> Packing:
    """optimum-quanto's Python code (tensor/weights/qbits.py, library/quantize.py, library/unpack.py).

    Packing: scales and shifts, rounded values, their clamped copy and its bytes (quantize_affine). Along the last axis
    groups are formed in a copy. Unpacking: a byte per element, beside the product with the scales.
    """
    width = BYTES[dtype]
    scales = Fraction(SCALES * width, group)
    turned = width if axis == -1 else 0
    packed = Fraction(nbits, 8) + scales
    unpacks = Fraction(1) + (width if axis == -1 else 0)
    return Packing(packed, Fraction(2 * width + 1 + turned) - Fraction(nbits, 8), unpacks)


def hqq(dtype: str, nbits: int, group: int, axis: int) -> Packing:
    """HQQ (core/quantize.py, core/optimize.py, optimize_weights_proximal_legacy), which works in float16 on a GPU.

    Packing: a float32 copy, and in the second of its rounds nine float16 tensors: the input, the rounded and the
    restored values of this round and of the last, and in shrink_lp_op the error, its absolute value, a power and a
    product. Each group has in float32 a minimum, a maximum, their difference, scale and zero, and in float16 scale and
    zero. Of 3-bit values ten go into four bytes: those of a group, or along the other axis those of ten groups
    (core/bitpack.py). Unpacking: two tensors, the values minus zero, and that times the scale.
    """
    width, half = BYTES[dtype], BYTES["fp16"]
    bits = Fraction(nbits, 8)
    if nbits == 3:
        bits = Fraction(4 * -(-group // 10), group) if axis == 0 else Fraction(4, 10)
    packed = bits + Fraction(SCALES * width, group)
    copy = 0 if dtype == "fp32" else BYTES["fp32"]
    groups = Fraction(5 * BYTES["fp32"] + 2 * half, group)
    return Packing(packed, copy + 9 * half + groups - packed, Fraction(2 * width))


def fp8(dtype: str) -> Packing:
    """The fp8 cache of transformers itself (cache_utils.py, Fp8QuantizedLayer).

    Packing: a float32 copy, that copy divided by the scale, and the bytes. Unpacking: a float32 copy, and that copy
    times the scale. The old bytes stay referenced until the new token's keys and values are passed on.
    """
    width = BYTES[dtype]
    wide = 2 * BYTES["fp32"]
    return Packing(Fraction(1), Fraction(wide - 1), Fraction(wide - width), BYTES["fp32"], copies=False, holds_old=True)
