"""MobileNet V5, the tower through which Gemma 3n sees: convolutions, and attention whose keys are of one head.

Source: timm 1.0 models/mobilenetv5.py (mobilenetv5_300m_enc). No part of it is a linear layer: nothing is quantized.
"""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.model import Module, Tensor

STEM, OUT = 64, 2048

_EDGES = ((64, 256, 128), (128, 512, 128), (128, 512, 128))
"""Of the first stage: what goes in, what is between, and what comes out."""

_SECOND = ((128, 3, 768, 5, 256), *((256, kernel, 1024, 0, 256) for kernel in (5, 3, 5, 3)))
_THIRD = ((256, 5, 1536, 5, 640), *((640, 5, 2560, 0, 640),) * 7, (640, 0, 640, 0, 640))
_FOURTH = ((640, 5, 3840, 5, 1280),)
"""Of the others: what goes in, the kernel before, what is between, the kernel there, and what comes out."""

_ATTENDING = ((640, 768, 64, 3, 14), (1280, 1536, 96, 0, 19))
"""Width, that of queries and of keys, the kernel that keys are thinned out by, and how often it comes with a block."""


def mobilenet(path: str) -> Iterator[Module]:
    """Every module, inside one of that name."""
    yield from _normed(f"{path}.conv_stem", (STEM, 3, 3, 3), bias=True)
    for index, (given, inner, out) in enumerate(_EDGES):
        block = f"{path}.blocks.0.{index}"
        yield _weight(f"{block}.conv_exp", (inner, given, 3, 3))
        yield _weight(f"{block}.bn1", (inner,))
        yield _weight(f"{block}.conv_pwl", (out, inner, 1, 1))
        yield _weight(f"{block}.bn2", (out,))
    for stage, blocks in enumerate((_SECOND, _THIRD, _FOURTH), start=1):
        for index, sizes in enumerate(blocks):
            yield from _bottleneck(f"{path}.blocks.{stage}.{index}", *sizes)
    for stage, (width, queries, keys, kernel, count) in enumerate(_ATTENDING, start=2):
        first = len(_THIRD if stage == 2 else _FOURTH)
        for index in range(first, first + 2 * count, 2):
            yield from _attention(f"{path}.blocks.{stage}.{index}", width, queries, keys, kernel)
            yield from _bottleneck(f"{path}.blocks.{stage}.{index + 1}", width, 0, 2 * width, 0, width)
    merged = sum(blocks[-1][-1] for blocks in (_THIRD, _FOURTH))
    yield from _normed(f"{path}.msfa.ffn.pw_exp", (2 * merged, merged, 1, 1))
    yield from _normed(f"{path}.msfa.ffn.pw_proj", (OUT, 2 * merged, 1, 1))
    yield _weight(f"{path}.msfa.norm", (OUT,))


def _bottleneck(path: str, given: int, before: int, inner: int, between: int, out: int) -> Iterator[Module]:
    """A wider layer between two products, with convolutions of each channel before and within it."""
    if before:
        yield from _normed(f"{path}.dw_start", (given, 1, before, before))
    yield from _normed(f"{path}.pw_exp", (inner, given, 1, 1))
    if between:
        yield from _normed(f"{path}.dw_mid", (inner, 1, between, between))
    yield from _normed(f"{path}.pw_proj", (out, inner, 1, 1))
    yield _scale(path, out)


def _attention(path: str, width: int, queries: int, keys: int, kernel: int) -> Iterator[Module]:
    yield _weight(f"{path}.norm", (width,))
    yield _weight(f"{path}.attn.query.proj", (queries, width, 1, 1))
    for name in ("key", "value"):
        if kernel:
            yield _weight(f"{path}.attn.{name}.down_conv", (width, 1, kernel, kernel))
            yield _weight(f"{path}.attn.{name}.norm", (width,))
        yield _weight(f"{path}.attn.{name}.proj", (keys, width, 1, 1))
    yield _weight(f"{path}.attn.output.proj", (width, queries, 1, 1))
    yield _scale(path, width)


def _normed(path: str, shape: tuple[int, ...], *, bias: bool = False) -> Iterator[Module]:
    own = (Tensor("bias", shape[:1]),) if bias else ()
    yield parts.bare(f"{path}.conv", (Tensor("weight", shape), *own))
    yield _weight(f"{path}.bn", shape[:1])


def _weight(path: str, shape: tuple[int, ...]) -> Module:
    return parts.bare(path, (Tensor("weight", shape),))


def _scale(path: str, width: int) -> Module:
    return parts.bare(f"{path}.layer_scale", (Tensor("gamma", (width,)),))
