"""4-bit layers are those of the library, with nothing decided for it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("bitsandbytes")

import bitsandbytes as bnb
import torch

from tests.memory.measure.jobs import job, tiny
from toolkit.memory.trace.build import architecture
from toolkit.memory.trace.stand_ins.quantized import quantize_4bit

pytestmark = pytest.mark.reference


def test_a_layer_chooses_its_compute_dtype_as_the_library_lets_it() -> None:
    """bitsandbytes before 0.47 takes that of the first input, unless it is float16; since then what it was told."""
    with torch.device("meta"):
        model = architecture(job().setting, tiny())
        quantize_4bit(model, "nf4", torch.float16, double=False)
        theirs = bnb.nn.Linear4bit(2, 2, compute_dtype=torch.float16)
    layers = [module for module in model.modules() if isinstance(module, bnb.nn.Linear4bit)]
    assert layers
    for layer in layers:
        assert layer.compute_type_is_set is theirs.compute_type_is_set
        assert layer.compute_dtype is torch.float16
