"""The real model of a setting, on meta tensors: its architecture, stored form, adapters and checkpointing."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

from toolkit.facts.models import ModelFacts
from toolkit.memory.trace.adapters import config_of, permuted_alike
from toolkit.memory.trace.attention import implementation
from toolkit.memory.trace.batches.trl_loss import (
    OUTPUTS,
    OUTPUTS_OF,
    refuse_adapted_head,
    refuse_trl,
    with_head,
    without_dropout,
)
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.refused import MXFP4, SHARES, refusal_of, runs_trl
from toolkit.memory.trace.releases import (
    built,
    dtype_plan,
    loads_by_name,
    no_init_weights,
    stops_caching,
    unties,
)
from toolkit.memory.trace.stand_ins.first_deberta import cast_biases
from toolkit.memory.weights.adapter_dtypes import adapter_dtype
from toolkit.memory.weights.casts import CASTS_BACK, casts_back, prepares_for_kbit
from toolkit.memory.weights.linear_storage import EIGHT_BIT, FOUR_BIT, working_dtype
from toolkit.spec.fields.names import CLASSIFIERS, QUANTIZED
from toolkit.spec.fields.objective import STEADY
from toolkit.spec.fields.result import OWN_LOOP
from toolkit.spec.settings.setting import Setting

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
AUTO_CLASSES = {
    "causal-lm": "AutoModelForCausalLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "masked-lm": "AutoModelForMaskedLM",
    "base": "AutoModel",
}
SPAN = ("start_positions", "end_positions")
"""The labels of a head that answers questions."""
COPIED = ".modules_to_save."
"""In the names of parameters that peft trains a copy of (utils/other.py, ModulesToSaveWrapper)."""
CHANCES = ("layerdrop", "encoder_layerdrop", "decoder_layerdrop")
"""Chances at which a layer is left out in training: a pass through all of them takes the most."""
LEFT_OUT = ("dtype", "torch_dtype", "quantization_config", "auto_map", "transformers_version", "architectures")


def load(setting: Setting, facts: ModelFacts) -> nn.Module:
    """The model as from_pretrained leaves it on the GPU. Raises UnsupportedTrace."""
    refuse(setting)
    model = architecture(setting, facts)
    if setting.weights in FOUR_BIT:
        from toolkit.memory.trace.stand_ins.quantized import quantize_4bit

        stored = DTYPES[working_dtype(setting)]
        kinds = {"double": setting.double_quant, "stored": stored, "storage": _packed_dtype(setting)}
        quantize_4bit(model, setting.weights, DTYPES[setting.compute], **kinds)
    elif setting.weights in EIGHT_BIT:
        from toolkit.memory.trace.stand_ins.eight_bit import quantize_8bit

        quantize_8bit(model, DTYPES[setting.compute])
    elif setting.weights == MXFP4:
        from toolkit.memory.trace.stand_ins.packed_experts import pack_experts

        pack_experts(model)
    if setting.weights in (*FOUR_BIT, *EIGHT_BIT) and loads_by_name():
        from toolkit.memory.trace.stand_ins.by_name import load_by_name

        load_by_name(model)
    return model.eval()


def _packed_dtype(setting: Setting) -> torch.dtype:
    """What 4-bit values are written into: bytes, or where they are shared out what is said, or the compute dtype."""
    said = setting.parallel.quant_storage or setting.compute
    return DTYPES[said] if setting.parallel.strategy in SHARES and said in DTYPES else torch.uint8


def prepare(model: nn.Module, setting: Setting) -> nn.Module:
    """The model as a trainer holds it before the first step: cast, with adapters, with checkpointing."""
    model.train()
    if runs_trl(setting):
        with_head(model, OUTPUTS_OF.get(setting.objective, OUTPUTS))
    if setting.trains and setting.objective in STEADY:  # trl/trainer/dpo_config.py, disable_dropout
        without_dropout(model)
    if setting.lora is not None or setting.peft is not None:
        model = _adapted(model, setting)
        if runs_trl(setting):
            refuse_adapted_head(model)
    if setting.gradient_checkpointing != "false":
        form = {"use_reentrant": setting.gradient_checkpointing == "reentrant"}
        model.gradient_checkpointing_enable(form)
        if setting.lora is not None or setting.peft is not None:
            model.enable_input_require_grads()
    return model


def answering(model: nn.Module, setting: Setting) -> nn.Module:
    """The model that answers, with the adapters that are not merged into it: peft's generate() runs what it wraps."""
    if setting.lora is None:
        return model
    wrapped: Any = _adapted(model, setting).eval()
    inner: nn.Module = wrapped.get_base_model()
    return inner


def refuse(setting: Setting) -> None:
    """Raises UnsupportedTrace for a setting that these steps are not those of."""
    reason = refusal_of(setting)
    if reason:
        raise UnsupportedTrace(reason)
    if setting.stack.trainer == "trl" and setting.trains:
        refuse_trl(setting)


def architecture(setting: Setting, facts: ModelFacts) -> nn.Module:
    """The model on torch's default device, with weights as memory happened to be, in the dtype that it works in."""
    config = _config(facts, setting)
    stored = DTYPES[working_dtype(setting)]
    auto = _auto_class(setting, facts, config)
    kernel = implementation(setting, auto._model_mapping[type(config)])
    try:
        with no_init_weights(), _default_dtype(stored):
            model: nn.Module = built(auto, config, kernel)
    except ImportError as error:  # of Gemma 3n's tower is a library's own
        needed = " and ".join(re.findall(r"pip install (\S+?)`", str(error))) or str(error)
        raise UnsupportedTrace(f"what transformers needs for {config.model_type} is not installed: {needed}") from error
    for pattern, dtype in dtype_plan(model, stored).items():
        for name, tensor in chain(model.named_parameters(), model.named_buffers()):
            if re.search(pattern, name):
                tensor.data = tensor.data.to(dtype)
    cast_biases(model, config.model_type, stored)
    model.tie_weights()
    unties(model, facts.config)
    return model


def _auto_class(setting: Setting, facts: ModelFacts, config: Any) -> Any:
    """The Auto class of a head: encoder-decoders have one of their own for language modelling.

    A model whose config names a class that sees is built with its tower, as TRL loads it and as formulas count it;
    AutoModelForCausalLM of transformers 5 makes some of them (Qwen3.5) without.
    """
    import transformers

    generates = setting.head == "causal-lm" and config.is_encoder_decoder
    auto = transformers.AutoModelForSeq2SeqLM if generates else getattr(transformers, AUTO_CLASSES[setting.head])
    if generates and type(config) not in auto._model_mapping:
        auto = transformers.AutoModelForSpeechSeq2Seq
    sees = getattr(transformers, "AutoModelForImageTextToText", auto)  # the class of many that read images, too
    if setting.head == "causal-lm" and (type(config) not in auto._model_mapping or _is_named(facts, sees, config)):
        auto = sees
    if type(config) not in auto._model_mapping:
        raise UnsupportedTrace(f"transformers has no {setting.head} head for {config.model_type}")
    return auto


def _is_named(facts: ModelFacts, auto: Any, config: Any) -> bool:
    """Whether the class that an Auto class has for a config is the one that the published config names."""
    made, named = auto._model_mapping.get(type(config), None), facts.config.get("architectures")
    return made is not None and isinstance(named, Sequence) and made.__name__ in named


def _config(facts: ModelFacts, setting: Setting) -> Any:
    from transformers import CONFIG_MAPPING, AutoConfig

    said = {key: value for key, value in copy.deepcopy(dict(facts.config)).items() if key not in LEFT_OUT}
    kind = said.pop("model_type", None)
    if setting.head in CLASSIFIERS:
        said["num_labels"] = setting.labels
    if kind not in CONFIG_MAPPING:
        raise UnsupportedTrace(f"transformers has no model type {kind!r}")
    try:
        config = AutoConfig.for_model(kind, **said)
    except Exception as error:  # a stranger's config: transformers raises what its checks of each key raise
        said_why = " ".join(str(error).split())
        raise UnsupportedTrace(f"transformers does not take this config of {kind}: {said_why}") from error
    stops = stops_caching() and setting.stack.trainer != OWN_LOOP  # nobody does in a loop of one's own
    if setting.trains and (stops or setting.uncached):
        config.use_cache = False
    elif not setting.trains:
        config.use_cache = True
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = 0
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = 0
    for chance in CHANCES:
        if getattr(config, chance, None):
            setattr(config, chance, 0.0)
    return config


def _adapted(model: nn.Module, setting: Setting) -> nn.Module:
    import peft

    if prepares_for_kbit(setting):
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    try:
        config = config_of(setting, model.config.model_type)
        with permuted_alike():
            adapted: nn.Module = peft.get_peft_model(model, config)
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise UnsupportedTrace(f"peft does not adapt this: {error}") from error
    if setting.lora is not None and setting.lora.frozen == "a":  # as create_lorafa_optimizer does
        for name, parameter in adapted.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and "lora_A" not in name)
    adapters = DTYPES[adapter_dtype(setting) or "fp32"]
    embeddings = DTYPES[setting.compute] if casts_back(setting) else None
    for name, parameter in adapted.named_parameters(remove_duplicate=False):  # a tied one by any of its names
        copied = COPIED in name  # peft casts what it puts in, not what it copies
        added = parameter.requires_grad or ".lora_" in name  # one matrix of LoRA may stay as it is
        wanted = adapters if added and not copied else embeddings if _embeds(name) else None
        if wanted is not None and parameter.dtype != wanted:
            parameter.data = parameter.data.to(wanted)
    if setting.trains and setting.stack.trainer != OWN_LOOP and setting.weights not in QUANTIZED:
        _move(adapted)
    return adapted


def _move(model: nn.Module) -> None:
    """Leaves of each view the view alone, as a Trainer does that moves a whole model to the GPU (Module._apply)."""
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.untyped_storage().nbytes() > buffer.nbytes:
                module._buffers[name] = buffer.clone()
        for parameter in module.parameters(recurse=False):
            if parameter.untyped_storage().nbytes() > parameter.nbytes:
                parameter.data = parameter.data.clone()


def _embeds(name: str) -> bool:
    """Whether TRL's peft_module_casting_to_bf16 casts a parameter of that name."""
    return any(part in name for part in CASTS_BACK) and "norm" not in name


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
