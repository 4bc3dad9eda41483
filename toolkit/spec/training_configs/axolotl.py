"""axolotl's YAML. Defaults and casts are those of axolotl 0.13 (utils/schemas/, utils/config/, loaders/model.py).

axolotl trains with transformers' Trainer. It prepares a model in 4 or 8 bit with peft, and then casts norms, embeddings
and head back: memory then holds what it holds under TRL since 0.26, except that adapters stay float32.
"""

from __future__ import annotations

from toolkit.finding import Finding, Severity
from toolkit.spec.training_configs.adapters import take_copies, take_lora
from toolkit.spec.training_configs.axolotl_kernels import take_adapter_kernels
from toolkit.spec.training_configs.axolotl_keys import (
    GOES_WITHOUT,
    LIGER,
    MOVED,
    MOVED_ALL,
    OFFLOADING,
    ONE,
    SHARED,
    STOPS,
)
from toolkit.spec.training_configs.axolotl_model import note_preparation, take_filling, take_model_changes
from toolkit.spec.training_configs.axolotl_objectives import take_objective
from toolkit.spec.training_configs.axolotl_plugins import take_plugins
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.evaluation import take_evaluation_of_axolotl
from toolkit.spec.training_configs.fsdp import take_storage
from toolkit.spec.training_configs.hugging_face import take_targets
from toolkit.spec.training_configs.optimizers import take_muon, take_optimizer
from toolkit.spec.training_configs.packing import take_axolotl_packing
from toolkit.spec.training_configs.parallel import take_parallel
from toolkit.spec.training_configs.trainer_keys import note_device
from toolkit.spec.training_configs.training_arguments import (
    ATTENTION,
    TORCH_DTYPES,
    take_accumulation,
    take_attention,
    take_checkpointing,
    take_model,
)
from toolkit.spec.yaml.known import unknown
from toolkit.spec.yaml.node import Scalar

EACH_A_UNIT = "axolotl has fully_shard make each matrix of an adapter a unit of its own, which is not followed"
"""monkeypatch/accelerate/fsdp2.py, _process_lora_module_for_fsdp."""


def take_axolotl(config: Config) -> None:
    """Reads an axolotl configuration."""
    take_model(config, "base_model")
    take_model_changes(config)
    batch = config.whole("micro_batch_size")
    if batch is not None:
        config.put("batch_size", batch, "micro_batch_size")
    else:
        config.assume("batch_size", 1, "the default of axolotl")
    _accumulation(config, batch or 1)
    length = config.whole("sequence_len")
    if length is not None:
        config.put("sequence_length", length, "sequence_len")
    else:
        config.assume("sequence_length", 512, "the default of axolotl")
    take_filling(config)
    note_device(config)
    _precision(config)
    _method(config)
    take_objective(config)
    _offloaded_checkpoints(config)
    if config.node("optimizer") == "muon":
        take_muon(config, "optimizer")
    else:
        take_optimizer(config, "optimizer")
    _attention(config)
    take_axolotl_packing(config)
    _shards(config)
    take_parallel(config)
    take_storage(config, "bnb_config_kwargs.bnb_4bit_quant_storage", TORCH_DTYPES)
    if config.value("parallel.strategy") == "fsdp2" and config.value("method") != "full":
        config.matters("adapter", EACH_A_UNIT, repair=None)
    _loss(config)
    take_evaluation_of_axolotl(config)
    _casts(config)
    take_adapter_kernels(config)
    config.matters_where_said(row for row in STOPS if not (row[0] in ONE and config.node(row[0]) == "1"))
    all_of_liger = all(config.truth(key) for key in LIGER)
    if all_of_liger:
        config.put("kernels.liger", "classes", *LIGER)
    followed = {*(LIGER if all_of_liger else ()), *((OFFLOADING,) if config.node(OFFLOADING) == "true" else ())}
    config.matters_where_said((row for row in GOES_WITHOUT if row[0] not in followed), stops=False)


def _accumulation(config: Config, micro: int) -> None:
    """Reads the passes before a step; `batch_size` alone is the sum of their batches (normalize_config)."""
    total = config.whole("batch_size")
    if total is not None and config.node("gradient_accumulation_steps") is None and micro:
        config.put("gradient_accumulation", max(1, total // micro), "batch_size")
    else:
        take_accumulation(config)


def _precision(config: Config) -> None:
    """Reads dtypes: `bf16: auto` is bf16 on cards that have it; weights have the training's dtype (resolve_dtype)."""
    node = config.node("bf16")
    on = None if node is None or node in ("auto", "full") else config.truth("bf16")
    pure16, pure_half = config.truth("bfloat16"), config.truth("float16")
    half = config.truth("fp16") or pure_half
    config.node("float32")
    bf16 = node in ("auto", "full") or bool(on) or bool(pure16)
    if bf16 and not (half and isinstance(node, Scalar) and node == "auto"):
        config.put("amp", True, "bf16", "bfloat16")
        config.assume("weights", "bf16", "as bf16 says")
    elif half:
        config.put("amp", not pure_half, "fp16", "float16")
        config.assume("weights", "fp16", "as fp16 says")
    else:
        config.assume("amp", False, "neither bf16 nor fp16")
        config.assume("weights", "fp32", "neither bf16 nor fp16")


def _method(config: Config) -> None:
    adapter = config.word("adapter")
    four, eight = config.truth("load_in_4bit"), config.truth("load_in_8bit")
    config.assume("stack.trainer", "transformers", "what axolotl trains with")
    if adapter is None:
        config.assume("method", "full", "no adapter")
        if four or eight:
            config.matters("load_in_4bit" if four else "load_in_8bit", "without an adapter nothing can be trained")
        return
    if adapter not in ("lora", "qlora"):
        message, repair = unknown("an adapter that is followed", adapter, ("lora", "qlora"))
        config.findings.append(Finding(config.place("adapter"), "S107", f"adapter: {message}", repair))
        return
    if adapter == "qlora" and not four and "weights" not in config.said:
        message = "adapter: qlora needs load_in_4bit: true"
        config.findings.append(Finding(config.place("adapter"), "S113", message, "add load_in_4bit: true"))
        return
    config.put("method", "qlora" if four else "lora", "adapter")
    if four or eight:
        config.put("weights", "nf4" if four else "int8", "load_in_4bit" if four else "load_in_8bit")
        config.assume("stack.trainer", "trl", "what it leaves of a quantized model is what axolotl leaves")
    if four:
        kind = config.word("bnb_config_kwargs.bnb_4bit_quant_type")
        if kind is not None:
            config.put("weights", kind, "bnb_config_kwargs.bnb_4bit_quant_type")
        nested = config.truth("bnb_config_kwargs.bnb_4bit_use_double_quant")
        config.assume("double_quant", nested is not False, "what axolotl asks bitsandbytes for")
    _adapters(config)


def _adapters(config: Config) -> None:
    take_lora(config, tool="axolotl", rank_key="lora_r", dora_key="peft_use_dora", rank=None, dropout=0.0)
    if config.truth("peft_autocast_adapter_dtype") is False:
        config.matters("peft_autocast_adapter_dtype", "adapters in the dtype of the weights are not followed here")
    config.assume("lora.dtype", "fp32", "what peft makes them")
    if config.truth("lora_target_linear"):
        config.put("lora.targets", "all-linear", "lora_target_linear")
        config.node("lora_target_modules")
    else:
        take_targets(config, "lora_target_modules")
    take_copies(config, "lora_modules_to_save")
    note_preparation(config)


def _offloaded_checkpoints(config: Config) -> None:
    """Reads checkpoints, or TRL's OffloadActivations in their place.

    OffloadActivations runs since axolotl 0.12 (core/trainers/mixins/activation_checkpointing.py). In full training it
    wraps layers in checkpoints of torch's newer form and moves their inputs (loaders/model.py, ac_wrap_hf_model); with
    adapters nothing is recomputed, and every activation is moved. By default axolotl's checkpoints are of the older
    form (utils/config/__init__.py, normalize_config).
    """
    node = config.node("gradient_checkpointing")
    if node in ("offload", "offload_disk") or config.node(OFFLOADING) == "true":
        key = "gradient_checkpointing" if node in ("offload", "offload_disk") else OFFLOADING
        config.node("gradient_checkpointing_kwargs")
        config.put("gradient_checkpointing", "non-reentrant", "gradient_checkpointing")
        alone = config.value("objective") is None and all(config.node(key) is None for key in SHARED)
        if node != "offload_disk" and config.value("method") == "full" and alone:
            config.put("activation_offloading", True, key)
            config.assume("stack.trainer", "trl", "whose OffloadActivations axolotl runs")
        else:
            config.matters(key, MOVED if config.value("method") == "full" else MOVED_ALL, stops=False)
        return
    said = config.node("gradient_checkpointing_kwargs") is not None
    take_checkpointing(config, default=False, form=None if said else "reentrant")


def _attention(config: Config) -> None:
    olds = (("flash_attention", "flash_attention_2"), ("sdp_attention", "sdpa"), ("eager_attention", "eager"))
    if config.node("attn_implementation") is None:
        for key, name in olds:
            if config.truth(key):
                config.put("attention", ATTENTION[name], key)
                return
        for key in ("xformers_attention", "flex_attention", "sage_attention"):
            if config.truth(key):
                config.matters(key, "no formula for this attention yet")
                return
    take_attention(config, "attn_implementation")


def _casts(config: Config) -> None:
    """Embeddings and norms stay as axolotl casts them without adapters, FSDP, FlashAttention or cut cross-entropy."""
    if config.value("stack.loss") == "cut":
        return
    whole = config.value("method") == "full" and config.value("weights") in ("bf16", "fp16")
    if whole and config.value("attention") != "flash" and "parallel.strategy" not in config.fields:
        message = "axolotl makes embeddings and norms float32 without FlashAttention; they are counted in 16 bit"
        place = config.place("attn_implementation", "bf16", "fp16", "bfloat16", "float16")
        config.findings.append(Finding(place, "S115", message, None, Severity.WARNING))


def _shards(config: Config) -> None:
    """`dp_shard_size` is the number of GPUs over which FSDP shards."""
    count = config.whole("dp_shard_size")
    if count is not None and count > 1:
        config.put("parallel.gpus", count, "dp_shard_size")


def _loss(config: Config) -> None:
    """Reads the loss: a key turns off cut cross-entropy's plugin (integrations/cut_cross_entropy/args.py)."""
    cut = config.truth("cut_cross_entropy")
    if take_plugins(config) and cut is not False:
        config.put("stack.loss", "cut", "plugins")
    elif cut:
        config.put("stack.loss", "cut", "cut_cross_entropy")
    elif config.truth("liger_fused_linear_cross_entropy"):
        config.put("stack.loss", "fused", "liger_fused_linear_cross_entropy")
    else:
        config.assume("stack.loss", "cross-entropy", "that of transformers")
