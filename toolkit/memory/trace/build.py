"""The real model of a setting, on meta tensors: its architecture, stored form, adapters and checkpointing."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

from toolkit.facts.models import ModelFacts
from toolkit.memory.numerics import (
    EIGHT_BIT,
    FOUR_BIT,
    QUANTIZED,
    adapter_dtype,
    casts_back,
    prepares_for_kbit,
    working_dtype,
)
from toolkit.memory.trace.adapters import config_of
from toolkit.memory.trace.attention import implementation
from toolkit.memory.trace.bitsandbytes_optimizers import IN_32_BIT
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.releases import dtype_plan, no_init_weights, stops_caching
from toolkit.memory.trace.trl_loss import refuse_trl, runs_trl, with_head
from toolkit.spec.setting import Setting

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
AUTO_CLASSES = {
    "causal-lm": "AutoModelForCausalLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "masked-lm": "AutoModelForMaskedLM",
    "base": "AutoModel",
}
LEFT_OUT = ("dtype", "torch_dtype", "quantization_config", "auto_map", "transformers_version", "architectures")
FSDP2 = "fsdp2"
TENSOR = "tensor"
SHARES = (FSDP2, TENSOR)
"""The strategies by which sharded.py shares a model out, by their names in a scenario."""


def load(setting: Setting, facts: ModelFacts) -> nn.Module:
    """The model as from_pretrained leaves it on the GPU. Raises UnsupportedTrace."""
    refuse(setting)
    model = architecture(setting, facts)
    if setting.weights in FOUR_BIT:
        from toolkit.memory.trace.quantized import quantize_4bit

        quantize_4bit(model, setting.weights, DTYPES[setting.compute], double=setting.double_quant)
    elif setting.weights in EIGHT_BIT:
        from toolkit.memory.trace.eight_bit import quantize_8bit

        quantize_8bit(model, DTYPES[setting.compute])
    return model.eval()


def prepare(model: nn.Module, setting: Setting) -> nn.Module:
    """The model as a trainer holds it before the first step: cast, with adapters, with checkpointing."""
    model.train()
    if runs_trl(setting):
        with_head(model)
    if setting.lora is not None or setting.peft is not None:
        model = _adapted(model, setting)
    if setting.gradient_checkpointing != "false":
        form = {"use_reentrant": setting.gradient_checkpointing == "reentrant"}
        model.gradient_checkpointing_enable(form)
        if setting.lora is not None or setting.peft is not None:
            model.enable_input_require_grads()
    return model


def refuse(setting: Setting) -> None:
    """Raises UnsupportedTrace for a setting that these steps are not those of."""
    if setting.stack.trainer not in ("transformers", "plain", "trl"):
        raise UnsupportedTrace(f"code of {setting.stack.trainer} is not traced yet")
    if setting.stack.trainer == "trl" and setting.trains:
        refuse_trl(setting)
    if setting.parallel.offload:
        raise UnsupportedTrace("offloading is not traced yet")
    if setting.parallel.gpus != 1 and setting.parallel.strategy not in SHARES:
        raise UnsupportedTrace(f"{setting.parallel.strategy} on several GPUs is not traced yet")
    if setting.weights not in (*DTYPES, *QUANTIZED):
        raise UnsupportedTrace(f"{setting.weights} weights are not traced yet")
    if setting.master_weights is not None:
        raise UnsupportedTrace("a separate copy of master weights is not traced yet")
    if setting.trains and setting.stack.loss != "cross-entropy" and not runs_trl(setting):
        raise UnsupportedTrace(f"the {setting.stack.loss} loss is not traced yet")
    if setting.engine:
        raise UnsupportedTrace("engines are not traced")
    if setting.trains:
        _refuse_dtypes(setting)


def _refuse_dtypes(setting: Setting) -> None:
    """Gradients have the dtype of what is trained, and torch's optimizers keep states in it; nothing else is traced."""
    trained = setting.weights if setting.method == "full" else adapter_dtype(setting)
    if setting.gradients != trained:
        raise UnsupportedTrace(f"{setting.gradients} gradients of {trained} parameters are not traced yet")
    wanted = {"adamw": trained, **dict.fromkeys(IN_32_BIT, "fp32")}.get(setting.optimizer)
    if wanted is not None and setting.optimizer_states != wanted:
        states = f"{setting.optimizer_states} states of {trained} parameters"
        raise UnsupportedTrace(f"{states} are not traced yet: {setting.optimizer} keeps {wanted}")


def architecture(setting: Setting, facts: ModelFacts) -> nn.Module:
    """The model on torch's default device, with weights as memory happened to be, in the dtype that it works in."""
    config = _config(facts, setting)
    stored = DTYPES[working_dtype(setting.weights, setting.compute)]
    auto = _auto_class(setting, config)
    kernel = implementation(setting, auto._model_mapping[type(config)])
    with no_init_weights(), _default_dtype(stored):
        model: nn.Module = auto.from_config(config, attn_implementation=kernel)
    for pattern, dtype in dtype_plan(model, stored).items():
        for name, tensor in chain(model.named_parameters(), model.named_buffers()):
            if re.search(pattern, name):
                tensor.data = tensor.data.to(dtype)
    model.tie_weights()
    return model


def _auto_class(setting: Setting, config: Any) -> Any:
    """The Auto class of a head: encoder-decoders have one of their own for language modelling."""
    import transformers

    generates = setting.head == "causal-lm" and config.is_encoder_decoder
    auto = transformers.AutoModelForSeq2SeqLM if generates else getattr(transformers, AUTO_CLASSES[setting.head])
    if type(config) not in auto._model_mapping:
        raise UnsupportedTrace(f"transformers has no {setting.head} head for {config.model_type}")
    return auto


def _config(facts: ModelFacts, setting: Setting) -> Any:
    from transformers import AutoConfig

    said = {key: value for key, value in copy.deepcopy(dict(facts.config)).items() if key not in LEFT_OUT}
    kind = said.pop("model_type", None)
    if setting.head == "sequence-classification":
        said["num_labels"] = setting.labels
    try:
        config = AutoConfig.for_model(kind, **said)
    except (KeyError, ValueError) as error:
        raise UnsupportedTrace(f"transformers has no model type {kind!r}") from error
    if setting.trains and stops_caching():
        config.use_cache = False
    elif not setting.trains:
        config.use_cache = True
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = 0
    return config


def _adapted(model: nn.Module, setting: Setting) -> nn.Module:
    import peft

    if prepares_for_kbit(setting):
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    try:
        config = config_of(setting, model.config.model_type)
        adapted: nn.Module = peft.get_peft_model(model, config)
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise UnsupportedTrace(f"peft does not adapt this: {error}") from error
    adapters = DTYPES[adapter_dtype(setting) or "fp32"]
    embeddings = DTYPES[setting.compute] if casts_back(setting) else None
    for name, parameter in adapted.named_parameters():
        wanted = adapters if parameter.requires_grad else embeddings if _embeds(name) else None
        if wanted is not None and parameter.dtype != wanted:
            parameter.data = parameter.data.to(wanted)
    return adapted


def _embeds(name: str) -> bool:
    """Whether TRL's peft_module_casting_to_bf16 casts a parameter of that name."""
    return "embed_tokens" in name or "lm_head" in name


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
