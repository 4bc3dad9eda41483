"""What a static or a quantized cache does with the keys and values of one layer, as a tape follows it."""

from __future__ import annotations

from fractions import Fraction

from toolkit.frozen import frozen
from toolkit.memory.size import BYTES

SCALES = 2
"""A group has a scale and a zero point, in the dtype of what is quantized."""


@frozen
class Packing:
    """How a backend quantizes. Sizes are bytes for each element of what it is given, in exact fractions.

    `packed` is what is kept, `scale` the bytes of a scale for all elements. `packs` is what it needs beside its input
    and `packed`, `unpacks` what it needs beside its result. `copies` says that what does not lie in one piece is copied
    first, `holds_old` that the cache before a token is there until the token's keys and values are handed on.
    """

    packed: Fraction
    packs: Fraction
    unpacks: Fraction
    scale: int = 0
    copies: bool = True
    holds_old: bool = False

    def kept(self, elements: int) -> int:
        """The bytes of so many elements; a last, incomplete byte counts as one."""
        return whole(elements * self.packed)


@frozen
class Keeping:
    """Room for so many tokens, or how their keys and their values are packed; one of both.

    `hands_back` says that attention gets the prompt's own keys and values. `key_copied` and `value_copied` say that
    those of a prompt are copied to lie in one piece before they are packed.
    """

    room: int = 0
    hands_back: bool = False
    packing: tuple[Packing, Packing] | None = None
    key_copied: bool = True
    value_copied: bool = True


def whole(size: Fraction) -> int:
    """Bytes, the last of which may not be full."""
    return -(-size.numerator // size.denominator)


def quanto(dtype: str, nbits: int, group: int, axis: int) -> Packing:
    """optimum-quanto, by its python code (tensor/weights/qbits.py, library/quantize.py, library/unpack.py).

    Packing: scales and shifts; rounded values, their clamped copy and the bytes of that (quantize_affine). Along the
    last axis groups are put together in a copy. Unpacking: a byte each, beside the product with the scales.
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
    restored values of this round and of the last, and in shrink_lp_op the error, its size, a power and a product. In
    float32 a group has a least, a greatest, their difference, scale and zero; in float16 scale and zero. Three bits go
    by ten into four bytes: those of a group, or along the other axis those of ten groups (core/bitpack.py).
    Unpacking: the values, less zero, times the scale: each a tensor.
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
    """Transformers' own (cache_utils.py, Fp8QuantizedLayer): a float32 copy, that divided by the scale, the bytes.

    Unpacking: a float32 copy, and that times the scale. The bytes before a token are named until it is handed on.
    """
    width = BYTES[dtype]
    wide = 2 * BYTES["fp32"]
    return Packing(Fraction(1), Fraction(wide - 1), Fraction(wide - width), BYTES["fp32"], copies=False, holds_old=True)
