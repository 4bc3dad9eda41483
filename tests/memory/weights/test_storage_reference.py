"""Stored weights compared with those that transformers and bitsandbytes make."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from tests.memory.architecture.reference import build, torch
from tests.memory.architecture.samples import PUBLISHED, small_config
from toolkit.facts.models import model_from_config
from toolkit.memory.architecture import FAMILIES, Module, ModuleKind, Tensor, architecture_of
from toolkit.memory.weights.quantization import Part, eight_bit, packed_4bit
from toolkit.memory.weights.storage import ITEM_BYTES, storage_of, stored_elements
from toolkit.spec.settings.setting import Setting

bitsandbytes = pytest.importorskip("bitsandbytes")

pytestmark = pytest.mark.reference

NF4 = Setting("", "qlora", "nf4")
# transformers 5 leaves the last layer alone by the name of its weight; one with a bias slips through. It
# would be trained in full, which a quantized layer cannot be, so a classifier counts as unquantized here.
CASES = [(model_type, head) for model_type in PUBLISHED for head in FAMILIES[model_type].classes]


@pytest.mark.parametrize(("model_type", "head"), CASES)
def test_the_quantized_layers_are_those_of_transformers(model_type: str, head: str) -> None:
    config = small_config(model_type)
    architecture = architecture_of(model_from_config(config, model_type), head)
    real = quantized_layers(build(architecture.class_name, config, architecture.labels))
    classifiers = {module.path for module in architecture.modules if module.kind is ModuleKind.HEAD}
    ours = {path for stored in storage_of(architecture, NF4) if stored.is_packed for path in stored.module.paths()}
    assert ours == real - classifiers


def quantized_layers(model: Any) -> set[str]:
    from transformers import BitsAndBytesConfig
    from transformers.integrations import replace_with_bnb_linear
    from transformers.quantizers.base import HfQuantizer

    skipped = HfQuantizer.get_modules_to_not_convert(model, None, model._keep_in_fp32_modules)
    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        replaced = replace_with_bnb_linear(model, skipped, settings)
    return {name for name, module in replaced.named_modules() if isinstance(module, bitsandbytes.nn.Linear4bit)}


@pytest.mark.parametrize("shape", [(64, 64), (48, 80), (3, 7), (512, 4096), (33, 1000)])
@pytest.mark.parametrize("double_quant", [False, True])
def test_tensors_of_a_4_bit_weight(shape: tuple[int, int], double_quant: bool) -> None:
    packed, state = bitsandbytes.functional.quantize_4bit(
        torch.ones(shape, dtype=torch.bfloat16), quant_type="nf4", compress_statistics=double_quant
    )
    real = [packed, state.absmax, state.code]
    if double_quant:
        real += [state.state2.absmax, state.state2.code, state.offset]
    ours = packed_4bit(Tensor("weight", shape), double_quant=double_quant)
    assert [(part.elements, part.elements * ITEM_BYTES[part.dtype]) for part in ours] == [
        (tensor.numel(), tensor.numel() * tensor.element_size()) for tensor in real
    ]
    assert len({tensor.untyped_storage().data_ptr() for tensor in real}) == len(real)


def test_tensors_of_an_8_bit_weight() -> None:
    weight = bitsandbytes.nn.Int8Params(torch.ones(48, 80), requires_grad=False, has_fp16_weights=False).to("cpu")
    parts = eight_bit(Module("m", ModuleKind.LINEAR, (), ("",), 80, 48), Tensor("weight", (48, 80)))
    assert parts == (
        Part("", "int8", weight.numel(), parameter=True),
        Part(".SCB", "fp32", weight.SCB.numel(), parameter=False),
    )
    assert (weight.dtype, weight.SCB.dtype) == (torch.int8, torch.float32)


def test_elements_of_a_packed_model_are_what_torch_counts() -> None:
    config = small_config("llama", layers=1) | {"vocab_size": 100, "tie_word_embeddings": False}
    architecture = architecture_of(model_from_config(config, "tiny"))
    model = build(architecture.class_name, config)
    layers = quantized_layers(model)
    counted = sum(
        (tensor.numel() + 1) // 2 if name.removesuffix(".weight") in layers else tensor.numel()
        for name, tensor in model.named_parameters()
    )
    assert stored_elements(architecture, NF4) == counted
