"""LLaMA-Factory's YAML. Defaults and casts are those of version 0.9.5 (hparams/, model/adapter.py, model/model_utils/).

Trained parameters are float32 unless `pure_bf16` is set. Nothing else of a quantized model is cast, as in TRL since
0.26.
"""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.finding import Finding
from toolkit.spec.training_configs.adapters import take_copies, take_lora
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.evaluation import take_evaluation
from toolkit.spec.training_configs.llamafactory_projections import take_apollo, take_galore
from toolkit.spec.training_configs.llamafactory_v1 import is_v1, take_llamafactory_v1
from toolkit.spec.training_configs.losses import refuse_smoothing
from toolkit.spec.training_configs.optimizers import take_muon, take_optimizer
from toolkit.spec.training_configs.packing import take_llamafactory_packing
from toolkit.spec.training_configs.parallel import take_parallel
from toolkit.spec.training_configs.trainer_keys import COMPILED
from toolkit.spec.training_configs.training_arguments import take_counts, take_model
from toolkit.spec.yaml.known import shown, unknown

STOPS = (
    ("use_badam", "no formula for BAdam yet"),
    ("use_llama_pro", "training of some layers is not followed"),
    ("mixture_of_depths", "mixture of depths is not followed"),
    ("use_mca", "Megatron is not followed"),
    ("use_megatron_bridge", "Megatron is not followed"),
    ("tensor_model_parallel_size", "Megatron is not followed"),
    ("pipeline_model_parallel_size", "Megatron is not followed"),
    ("expert_model_parallel_size", "Megatron is not followed"),
    ("use_kt", "experts in main memory are not followed"),
    ("use_ray", "how many GPUs a Ray cluster has is not followed"),
    ("shift_attn", "shifted attention is not followed"),
    ("use_unsloth_gc", "checkpoints in main memory are not followed"),
    ("use_dft_loss", "no formula for this loss yet"),
    ("use_asft_loss", "no formula for this loss yet"),
    ("use_eaft_loss", "no formula for this loss yet"),
    ("rope_scaling", "scaled positions are not followed"),
    ("upcast_layernorm", "norms in float32 are not followed"),
    ("upcast_lmhead_output", "logits in float32 from the head are not followed"),
    ("fp8", "no formula for training in fp8 yet"),
    ("resize_vocab", "a resized vocabulary is not followed"),
    ("add_tokens", "added tokens resize the vocabulary, which is not followed"),
    ("add_special_tokens", "added tokens resize the vocabulary, which is not followed"),
    ("new_special_tokens_config", "added tokens resize the vocabulary, which is not followed"),
    ("freeze_language_model", "training of parts of a model of images is not followed"),
    ("adapter_name_or_path", "training that goes on from a saved adapter is not followed"),
)
GOES_WITHOUT = (
    ("torch_compile", COMPILED),
    ("use_v1_kernels", "LLaMA-Factory's own kernels are not followed: transformers' code is"),
    ("moe_aux_loss_coef", "the router's logits are not counted"),
    ("neftune_noise_alpha", "the noise on embeddings is not counted"),
    ("pissa_init", "what it takes to make such adapters before training is not counted"),
)
TRAINED_UNLESS_TRUE = ("freeze_vision_tower", "freeze_multi_modal_projector")
"""hparams/finetuning_args.py: everything but the language model is frozen unless these are false."""
ATTENTION = {"auto": "sdpa", "sdpa": "sdpa", "fa2": "flash", "fa3": "flash", "disabled": "eager"}
"""extras/constants.py, AttentionFunction; model/model_utils/attention.py."""
STAGES = ("sft", "pt")
METHODS = ("lora", "full", "oft")
WHOLE = "LLaMA-Factory's own trainer takes float32 log-softmaxes of all logits at once, as TRL's does not"
PREFERS: Mapping[str, tuple[str, str]] = {
    "dpo": ("dpo", WHOLE),
    "kto": ("kto", f"{WHOLE}, of answers to other prompts, too"),
    "rm": ("reward", "LLaMA-Factory's own trainer scores every token, beside all logits, as TRL's does not"),
}
"""Stages with an objective that is known here, which LLaMA-Factory's own trainers compute in another way.

Source: src/llamafactory/train at ff6d4d12ee: trainer_utils.py (get_batch_logps), dpo/trainer.py and kto/trainer.py
(concatenated_forward), rm/trainer.py (compute_loss) and rm/workflow.py (add_valuehead).
"""
TRLS = "a scenario with objective: {} and stack.trainer: trl estimates TRL's own trainer"


def take_llamafactory(config: Config) -> None:
    """Reads a LLaMA-Factory configuration for training, by either of its trainers."""
    if is_v1(config.entries):
        take_llamafactory_v1(config)
        return
    _is_followed(config)
    take_model(config, "model_name_or_path")
    take_counts(config)
    length = config.whole("cutoff_len")
    if length is not None:
        config.put("sequence_length", length, "cutoff_len")
    else:
        config.assume("sequence_length", 2048, "the default of llamafactory")
    method = config.word("finetuning_type") or "lora"
    if method not in METHODS:
        message, repair = unknown("a way of fine-tuning that is followed", method, METHODS)
        config.findings.append(Finding(config.place("finetuning_type"), "S107", f"finetuning_type: {message}", repair))
    _optimizer(config)
    take_parallel(config)  # whose optimizer goes before
    _precision(config, method)
    if method == "lora":
        _adapters(config)
    elif method == "oft":
        _rotations(config)
    _checkpointing(config)
    _attention(config)
    take_llamafactory_packing(config)
    refuse_smoothing(config)
    liger = config.truth("enable_liger_kernel")
    if config.value("stack.trainer") != "unsloth":  # which takes its own
        config.assume("stack.loss", "fused" if liger else "cross-entropy", "enable_liger_kernel")
    if liger:
        config.put("kernels.liger", "classes", "enable_liger_kernel")
    take_evaluation(config)
    workers = config.whole("ray_num_workers")
    if workers is not None and workers > 1 and "parallel.gpus" not in config.said:
        config.matters("ray_num_workers", "under Ray so many GPUs share the run: add --parallel-gpus N", stops=False)
    config.matters_where_said(STOPS)
    _refuse_images(config)
    config.matters_where_said(GOES_WITHOUT, stops=False)


def _is_followed(config: Config) -> None:
    """Refuses stages that do not train on the next token: without its stage the file would be another run's."""
    stage = config.word("stage")
    if stage is not None and stage in PREFERS:
        objective, does = PREFERS[stage]
        config.matters("stage", f"{stage}: {does}, which is not followed", repair=TRLS.format(objective))
    elif stage is not None and stage not in STAGES:
        config.matters("stage", f"{shown(stage)} is not followed: {' and '.join(STAGES)} are", repair=None)
    if not config.truth("do_train"):
        message = "nothing is trained: LLaMA-Factory trains where do_train: true is written"
        config.findings.append(Finding(config.place("do_train"), "S105", message, "add do_train: true"))


def _refuse_images(config: Config) -> None:
    for key in TRAINED_UNLESS_TRUE:
        if config.truth(key) is False:
            config.matters(key, "training of what makes tokens of images is not followed")


def _precision(config: Config, method: str) -> None:
    """Reads dtypes: the model is loaded in the training's dtype; trained parameters are cast to float32."""
    pure, bf16, fp16 = config.truth("pure_bf16"), config.truth("bf16"), config.truth("fp16")
    loaded = "bf16" if bf16 or pure else "fp16" if fp16 else None
    amp = bool((bf16 or fp16) and not pure)
    config.put("amp", amp, "pure_bf16", "bf16", "fp16") if loaded else config.assume(
        "amp", False, "neither bf16 nor fp16"
    )
    if fp16 and amp:
        config.put("compute", "fp16", "fp16")
    bits = config.whole("quantization_bit")
    config.assume("method", method, "finetuning_type")
    if config.truth("use_unsloth"):
        config.put("stack.trainer", "unsloth", "use_unsloth")
    else:
        config.assume("stack.trainer", "transformers", "what LLaMA-Factory trains with")
    if bits is not None:
        _quantized(config, bits, method)
    elif method == "full" and loaded and not pure and config.value("parallel.strategy") != "zero3":
        config.assume("weights", "fp32", "LLaMA-Factory makes trained parameters float32 unless pure_bf16")
    elif loaded:
        config.assume("weights", loaded, "as bf16, pure_bf16 or fp16 says")
    if method == "lora":
        config.assume(
            "lora.dtype", "bf16" if pure else "fp32", "pure_bf16" if pure else "what LLaMA-Factory makes them"
        )


def _quantized(config: Config, bits: int, method: str) -> None:
    how = config.word("quantization_method") or "bnb"
    if how not in ("bnb", "bitsandbytes") or bits not in (4, 8):
        config.matters("quantization_bit", f"{bits} bit by {how[:20]} is not followed: 4 or 8 bit by bitsandbytes are")
        return
    if method != "lora":
        reason = "of a quantized model is not followed" if method == "oft" else "trains no quantized weights"
        config.matters("quantization_bit", f"finetuning_type {method} {reason}")
        return
    if bits == 8:
        config.put("weights", "int8", "quantization_bit")
        config.node("double_quantization")
    else:
        config.put("weights", config.word("quantization_type") or "nf4", "quantization_type", "quantization_bit")
        config.assume("double_quant", config.truth("double_quantization") is not False, "double_quantization")
        config.assume("method", "qlora", "finetuning_type with quantization_bit")
        if config.value("parallel.strategy") in ("fsdp2", "zero3"):
            packed = config.value("compute") or "bf16"
            config.assume("parallel.quant_storage", packed, "the compute dtype (model/model_utils/quantization.py)")
    if config.value("stack.trainer") == "transformers":
        config.assume("stack.trainer", "trl", "what it leaves of a quantized model is what LLaMA-Factory leaves")


def _adapters(config: Config) -> None:
    take_lora(config, tool="llamafactory", rank_key="lora_rank", dora_key="use_dora", rank=8, dropout=0.0)
    targets = config.words("lora_target")
    if targets is None or targets == ("all",):
        config.assume("lora.targets", "all-linear", "lora_target: all, the default of llamafactory")
    else:
        config.put("lora.targets", targets, "lora_target")
    if config.truth("pure_bf16"):
        take_copies(config, "additional_target")
    elif config.words("additional_target"):
        reason = "copies of whole modules are made float32, which is followed with pure_bf16 alone, where they are not"
        config.matters("additional_target", reason)


def _rotations(config: Config) -> None:
    """Reads OFT, with blocks of 32 unless a rank is stated (hparams/finetuning_args.py, OFTArguments)."""
    rank, block = config.whole("oft_rank"), config.whole("oft_block_size")
    config.assume("peft.rank", rank or 0, "oft_rank, by default 0")
    config.assume("peft.block_size", 32 if block is None else block, "oft_block_size, by default 32")
    config.assume("peft.dtype", "bf16" if config.truth("pure_bf16") else "fp32", "what LLaMA-Factory makes them")
    targets = config.words("oft_target") or ("all",)
    config.assume("peft.targets", "all-linear" if targets == ("all",) else targets, "oft_target")
    if config.decimal("module_dropout"):
        config.matters("module_dropout", "dropout of OFT's blocks is not followed")


def _checkpointing(config: Config) -> None:
    """LLaMA-Factory checkpoints by default, in torch's older form; the Trainer's own switch turns it on as well."""
    reentrant = config.truth("use_reentrant_gc") is not False
    own = config.truth("gradient_checkpointing")
    if config.truth("gradient_checkpointing_kwargs.use_reentrant") is not None and own:
        reentrant = bool(config.truth("gradient_checkpointing_kwargs.use_reentrant"))
    form = "reentrant" if reentrant else "non-reentrant"
    if config.truth("disable_gradient_checkpointing") and not own:
        config.put("gradient_checkpointing", False, "disable_gradient_checkpointing")
    else:
        config.assume("gradient_checkpointing", form, "the default of llamafactory")


def _optimizer(config: Config) -> None:
    """`use_galore` and `use_muon` take precedence over `optim` (train/trainer_utils.py, create_custom_optimizer)."""
    if config.truth("use_galore"):
        take_galore(config)
    elif config.truth("use_apollo"):
        take_apollo(config)
    elif config.truth("use_adam_mini"):
        config.node("optim")
        config.put("optimizer", "adam_mini", "use_adam_mini")
    elif config.truth("use_muon"):
        config.node("optim")
        take_muon(config, "use_muon")
    else:
        take_optimizer(config, "optim")


def _attention(config: Config) -> None:
    said = config.word("flash_attn") or "auto"
    said = {"flash_attention_2": "fa2", "true": "fa2", "True": "fa2"}.get(said, said)
    if said in ATTENTION:
        config.put("attention", ATTENTION[said], "flash_attn")
    else:
        message, repair = unknown("an implementation of attention", said, ATTENTION)
        config.findings.append(Finding(config.place("flash_attn"), "S107", f"flash_attn: {message}", repair))
