"""TrainingArguments of transformers, and TRL's SFTConfig with what TRL's command line adds to it.

Defaults are those of transformers 5.23 (training_args.py) and TRL 1.16 (trainer/sft_config.py, trainer/model_config.py,
scripts/sft.py).
"""

from __future__ import annotations

import re

from toolkit.spec.fields.objective import GRPO, NEXT_TOKEN, PREFERENCES
from toolkit.spec.settings.lora_targets import usual_targets
from toolkit.spec.training_configs.adapters import take_copies, take_lora
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.evaluation import take_evaluation
from toolkit.spec.training_configs.fsdp import take_storage
from toolkit.spec.training_configs.losses import SMOOTHING, refuse_smoothing, take_trl_loss
from toolkit.spec.training_configs.optimizers import take_optimizer
from toolkit.spec.training_configs.packing import fill_up, take_trl_packing
from toolkit.spec.training_configs.parallel import take_parallel
from toolkit.spec.training_configs.preferences import take_objective, take_reference
from toolkit.spec.training_configs.target_patterns import names_of
from toolkit.spec.training_configs.trainer_keys import COMPILED
from toolkit.spec.training_configs.training_arguments import (
    TORCH_DTYPES,
    facts_of,
    take_attention,
    take_autocast,
    take_checkpointing,
    take_counts,
    take_dtype,
    take_model,
    take_offloading,
)
from toolkit.spec.yaml.node import Scalar

MODEL_KEYS = ("model_name_or_path", "model_name", "model_id", "model")
STOPS = (
    ("lora_target_parameters", "adapters of parameters that are no modules are not followed"),
    ("parallelism_config", "parallelism beyond DDP, FSDP and ZeRO is not followed"),
    ("tensor_parallel_size", "tensor parallelism is not followed here"),
    ("fp8", "no formula for training in fp8 yet"),
)
GOES_WITHOUT = (
    ("torch_compile", COMPILED),
    ("liger_kernel_config", "which of Liger's kernels run is not read: all of them are followed"),
    ("neftune_noise_alpha", "the noise on embeddings is not counted"),
    ("include_num_input_tokens_seen", "gathered counts of tokens are not counted"),
)
OF_TRL = (
    ("router_aux_loss_coef", "what the loss that balances experts keeps of the router is not counted"),
    ("chat_template_path", "the rows that a template's tokens add to embeddings are not counted"),
)
"""Keys of TRL's SFTConfig (trl 1.16 trainer/sft_trainer.py: clone_chat_template, output_router_logits)."""
_PATTERN = re.compile(r"[][\\(){}|*+?^$]")
TRANSFORMERS, TRL = "transformers", "trl"


def take_transformers(config: Config) -> None:
    """Reads TrainingArguments; what they lack (model, method, length) is stated on the command line."""
    config.assume("stack.trainer", TRANSFORMERS, "the tool")
    take_model(config, *MODEL_KEYS)
    take_counts(config)
    take_checkpointing(config, default=False)
    take_autocast(config, default=False)
    take_optimizer(config, "optim")
    take_offloading(config, "activation_offloading")
    take_dtype(config, None, "dtype", "torch_dtype")
    take_attention(config, "attn_implementation")
    config.assume("stack.loss", "fused" if config.truth("use_liger_kernel") else "cross-entropy", "use_liger_kernel")
    if config.truth("use_liger_kernel"):
        config.put("kernels.liger", "instance", "use_liger_kernel")
    refuse_smoothing(config)
    take_parallel(config)
    _common(config)


def take_trl(config: Config) -> None:
    """Reads an SFTConfig, with the fields of ModelConfig where TRL's command line wrote them."""
    config.assume("stack.trainer", TRL, "the tool")
    take_model(config, *MODEL_KEYS)
    take_counts(config)
    objective = take_objective(config)
    take_checkpointing(config, default=True)
    take_autocast(config, default=True)
    take_optimizer(config, "optim")
    if objective != GRPO:
        _length(config)
    _weights(config)
    take_reference(config, objective)
    take_offloading(config, "activation_offloading", objective)
    take_attention(config, "attn_implementation", "model_init_kwargs.attn_implementation")
    if objective != NEXT_TOKEN:
        config.node(SMOOTHING)  # which losses of their own do not read
    if objective in PREFERENCES:
        config.assume("stack.loss", "chunked", "what trl's trainers take since 1.15")
        _liger(config)
    elif objective != NEXT_TOKEN:
        config.assume("stack.loss", "cross-entropy", f"of all logits, as trl's trainer of {objective} has it")
        _liger(config)
    else:
        take_trl_packing(config)
        take_trl_loss(config, fused=_liger(config))
    take_parallel(config)
    take_storage(config, "bnb_4bit_quant_storage", TORCH_DTYPES)
    config.matters_where_said(OF_TRL, stops=False)
    _common(config)


def _common(config: Config) -> None:
    take_evaluation(config)
    config.matters_where_said(STOPS)
    config.matters_where_said(GOES_WITHOUT, stops=False)


def _length(config: Config) -> None:
    """Reads the length of rows, which are padded to the multiple that is stated (trl/trainer/utils.py, pad)."""
    keys = ("max_length", "max_seq_length")
    length = config.whole(*keys)
    if length is not None:
        config.put("sequence_length", length, *keys)
    elif not any(key in config.entries for key in keys):
        config.assume("sequence_length", 1024, "the default of trl")
    multiple = config.node("pad_to_multiple_of")
    if multiple is None or multiple in ("auto", "none", "null"):
        return
    fill_up(config, config.whole("pad_to_multiple_of") or 0, packs=bool(config.truth("packing", "padding_free")))


def _weights(config: Config) -> None:
    """Reads the form of weights, the method and the adapters; SFTTrainer loads float32 by default."""
    four, eight = config.truth("load_in_4bit"), config.truth("load_in_8bit")
    dtypes = ("dtype", "torch_dtype", "model_init_kwargs.dtype", "model_init_kwargs.torch_dtype")
    peft = config.truth("use_peft")
    from_command_line = config.node(*MODEL_KEYS) is not None or peft is not None
    if four:
        config.put("weights", config.word("bnb_4bit_quant_type") or "nf4", "load_in_4bit")
        config.put("double_quant", bool(config.truth("use_bnb_nested_quant")), "use_bnb_nested_quant", "load_in_4bit")
        compute = config.word(*dtypes) or "float32"
        if compute in TORCH_DTYPES:  # get_quantization_config: the products' dtype is that of the other weights
            config.put("compute", TORCH_DTYPES[compute], *dtypes)
    elif eight:
        config.put("weights", "int8", "load_in_8bit")
        config.node(*dtypes)
    else:
        take_dtype(config, "fp32" if from_command_line else None, *dtypes)
    if from_command_line:
        method = ("qlora" if four else "lora") if peft else "full"
        config.assume("method", method, "use_peft" if peft else "trl adapts nothing unless use_peft is set")
    if peft:
        _adapters(config)


def _adapters(config: Config) -> None:
    take_lora(config, tool="trl", rank_key="lora_r", dora_key="use_dora", rank=16, dropout=0.05)
    take_targets(config, "lora_target_modules")
    take_copies(config, "lora_modules_to_save")


def take_targets(config: Config, *keys: str) -> None:
    """Reads the modules with adapters; by default peft takes those that it lists for the model's type."""
    node = config.node(*keys)
    if isinstance(node, Scalar) and _PATTERN.search(node):
        _by_pattern(config, node, *keys)
        return
    said = config.words(*keys)
    if said is not None:
        whole = said == ("all-linear",)
        config.put("lora.targets", "all-linear" if whole else said, *keys)
        return
    facts = facts_of(config)
    usual = usual_targets(str(facts.config.get("model_type"))) if facts else ()
    if len(usual) > 1:  # the first is peft's own where it has one
        config.assume("lora.targets", usual[0], "peft's default for the model")


def _by_pattern(config: Config, pattern: str, *keys: str) -> None:
    names = names_of(pattern)
    if names is None:
        config.matters(keys[0], "a pattern of module names of this form is not followed: list the names")
        return
    config.put("lora.targets", names, *keys)
    config.matters(keys[0], f"the pattern is read as {', '.join(names)}, wherever these are", stops=False)


def _liger(config: Config) -> bool:
    """Reads whether Liger's kernels run parts of layers; a DPOTrainer does not use Liger's loss."""
    if not config.truth("use_liger_kernel", "use_liger"):
        return False
    config.put("kernels.liger", "instance", "use_liger_kernel", "use_liger")
    return True
