"""torchtune's YAML. Defaults are those of its recipes and model builders at version 0.6.

torchtune has its own model code and losses, in plain PyTorch. For families whose layers are not followed, weights,
gradients and states are exact, and activations are taken to be those of transformers' layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from toolkit.facts.models import ModelFacts, load_model
from toolkit.finding import Finding, Place, Severity
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.optimizers import COMPONENTS, note_decay
from toolkit.spec.training_configs.parallel import is_alone, runs_alone
from toolkit.spec.training_configs.torchtune_loss import take_loss
from toolkit.spec.training_configs.torchtune_sizes import note_validation, take_dimensions
from toolkit.spec.training_configs.trainer_keys import note_device
from toolkit.spec.training_configs.training_arguments import TORCH_DTYPES, take_accumulation, take_offloading
from toolkit.spec.yaml.known import shown, unknown

_BUILDER = re.compile(
    r"torchtune\.models\.[a-z0-9_]+\.(?P<form>lora_|qlora_)?(?P<model>[a-z0-9_]+?)(?:_base|(?P<chats>_instruct))?"
)

MODELS: Mapping[str, str] = {
    "llama2_7b": "meta-llama/Llama-2-7b-hf", "llama2_13b": "meta-llama/Llama-2-13b-hf",
    "llama2_70b": "meta-llama/Llama-2-70b-hf", "llama3_8b": "meta-llama/Meta-Llama-3-8B",
    "llama3_70b": "meta-llama/Meta-Llama-3-70B", "llama3_1_8b": "meta-llama/Llama-3.1-8B",
    "llama3_1_70b": "meta-llama/Llama-3.1-70B", "llama3_1_405b": "meta-llama/Llama-3.1-405B",
    "llama3_2_1b": "meta-llama/Llama-3.2-1B", "llama3_2_3b": "meta-llama/Llama-3.2-3B",
    "llama3_3_70b": "meta-llama/Llama-3.3-70B-Instruct", "mistral_7b": "mistralai/Mistral-7B-v0.1",
    "gemma_2b": "google/gemma-2b", "gemma_7b": "google/gemma-7b", "gemma2_2b": "google/gemma-2-2b",
    "gemma2_9b": "google/gemma-2-9b", "gemma2_27b": "google/gemma-2-27b",
    "phi3_mini": "microsoft/Phi-3-mini-4k-instruct", "phi4_14b": "microsoft/phi-4",
    "qwen2_0_5b": "Qwen/Qwen2-0.5B-Instruct", "qwen2_1_5b": "Qwen/Qwen2-1.5B-Instruct",
    "qwen2_7b": "Qwen/Qwen2-7B-Instruct",
    "qwen2_5_0_5b": "Qwen/Qwen2.5-0.5B", "qwen2_5_1_5b": "Qwen/Qwen2.5-1.5B", "qwen2_5_3b": "Qwen/Qwen2.5-3B",
    "qwen2_5_7b": "Qwen/Qwen2.5-7B", "qwen2_5_14b": "Qwen/Qwen2.5-14B", "qwen2_5_32b": "Qwen/Qwen2.5-32B",
    "qwen2_5_72b": "Qwen/Qwen2.5-72B", "qwen3_0_6b": "Qwen/Qwen3-0.6B", "qwen3_1_7b": "Qwen/Qwen3-1.7B",
    "qwen3_4b": "Qwen/Qwen3-4B", "qwen3_8b": "Qwen/Qwen3-8B", "qwen3_14b": "Qwen/Qwen3-14B",
    "qwen3_32b": "Qwen/Qwen3-32B", "smollm2_135m": "HuggingFaceTB/SmolLM2-135M",
    "smollm2_360m": "HuggingFaceTB/SmolLM2-360M", "smollm2_1_7b": "HuggingFaceTB/SmolLM2-1.7B",
}  # fmt: skip
"""torchtune/models/*/_model_builders.py: one builder per size; base and instruct models have the same shapes."""

_ONE_GPU = "which recipe runs it, and on how many GPUs, is said to `tune run` alone: one GPU is taken"

FOLLOWED = ("llama", "mistral", "qwen", "smollm")
"""The families for which torchtune's own layers are followed (toolkit.memory.architecture.torchtune)."""

MODULES = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "output_proj": "o_proj"}
MLP = ("gate_proj", "down_proj", "up_proj")
"""transformers' names of torchtune's feed-forward projections (torchtune/models/convert_weights.py)."""

STOPS = (
    ("model.use_dora", "torchtune has a DoRA of its own, which is not followed"),
    ("model.apply_lora_to_output", "adapters of the output layer are not followed here"),
    ("model.decoder_trainable", "models of images and text are not followed here"),
    ("tensor_parallel_plan", "tensor parallelism is not followed here"),
    ("quantizer", "quantization-aware training is not followed"),
    ("enable_fp8_training", "no formula for training in fp8 yet"),
    ("ac_mode", "checkpointing of some layers is not followed"),
    ("optimizer.amsgrad", "no formula for a third state of each parameter"),
    ("optimizer.centered", "no formula for a third state of each parameter"),
)
OTHER_RUNS = (
    ("teacher_model", "distillation holds a second model, which is not followed"),
    ("ref_checkpointer", "preference training holds a second model, which is not followed"),
    ("reward_checkpointer", "preference training holds more models, which is not followed"),
)
"""Keys of recipes that train in another way: without them the file would be another run's."""
GOES_WITHOUT = (
    ("custom_sharded_layers", "that embedding and output are units of their own is not followed"),
    ("compile", "what torch.compile fuses is not followed: the estimate is that of eager code"),
    ("dataset.packed", "flex attention to packed samples is not followed: rows are counted as one sample each"),
)


def take_torchtune(config: Config) -> None:
    """Reads the configuration of a torchtune recipe for fine-tuning."""
    _model(config)
    batch = config.whole("batch_size")
    if batch is not None:
        config.put("batch_size", batch, "batch_size")
    take_accumulation(config)
    length = config.whole("tokenizer.max_seq_len", "dataset.max_seq_len")
    if length is not None:
        config.put("sequence_length", length, "tokenizer.max_seq_len", "dataset.max_seq_len")
    _dtype(config)
    checkpointing = config.truth("enable_activation_checkpointing")
    config.assume(
        "gradient_checkpointing", "non-reentrant" if checkpointing else False, "enable_activation_checkpointing"
    )
    config.assume("attention", "sdpa", "torchtune/modules/attention.py")
    take_offloading(config, "enable_activation_offloading")
    _optimizer(config)
    take_loss(config)
    if config.truth("fsdp_cpu_offload", "fsdp.cpu_offload"):
        config.put("parallel.offload", True, "fsdp_cpu_offload", "fsdp.cpu_offload")
    keeps = config.truth("fsdp_reshard_after_forward") is False
    if is_alone(config):
        runs_alone(config, "fsdp2" if "parallel.offload" in config.fields else None, "fsdp_cpu_offload", "fsdp")
    elif "parallel.gpus" in config.said:
        config.assume("parallel.strategy", "fsdp2", "torchtune/training/_distributed.py, shard_model: fully_shard")
        if keeps:
            config.put("parallel.reshard_after_forward", False, "fsdp_reshard_after_forward")
    else:
        config.findings.append(Finding(Place(config.shown), "S115", _ONE_GPU, "add --parallel-gpus N", Severity.NOTE))
    take_dimensions(config)
    note_validation(config)
    note_device(config)
    config.matters_where_said(STOPS)
    config.matters_where_said(OTHER_RUNS, repair=None)
    config.matters_where_said(GOES_WITHOUT, stops=False)


def _model(config: Config) -> None:
    component = config.word("model._component_")
    found = _BUILDER.fullmatch(component or "")
    name = found["model"] if found else ""
    if component is not None and name not in MODELS and "model" not in config.said:
        message, repair = unknown("a model builder that is known here", shown(component), MODELS)
        config.findings.append(
            Finding(config.place("model._component_"), "S107", f"model._component_: {message}", repair)
        )
        config.lost.add("model")
    elif name in MODELS:
        instruct = f"{MODELS[name]}-Instruct"  # whose positions are fewer where it is a model of its own
        own = found is not None and found["chats"] and isinstance(load_model(instruct), ModelFacts)
        config.put("model", instruct if own else MODELS[name], "model._component_")
    form = found["form"] if found else None
    _layers(config, name)
    config.assume("method", {"lora_": "lora", "qlora_": "qlora"}.get(form or "", "full"), "model._component_")
    if form is None:
        return
    rank = config.whole("model.lora_rank")
    if rank is not None:
        config.put("lora.rank", rank, "model.lora_rank")
    else:
        config.assume("lora.rank", 8, "the default of torchtune's builders")
    alpha = config.whole("model.lora_alpha")
    if alpha is not None:
        config.put("lora.alpha", alpha, "model.lora_alpha")
    config.assume("lora.dropout", config.decimal("model.lora_dropout") or 0.0, "model.lora_dropout")
    _targets(config, name)


def _layers(config: Config, name: str) -> None:
    """Sets the trainer whose layers are followed: torchtune's own where they are covered."""
    if name.startswith(FOLLOWED):
        config.assume("stack.trainer", "torchtune", "the tool")
        return
    config.assume("stack.trainer", "plain", "a loop in plain PyTorch, as torchtune's recipes are")
    message = "torchtune's own layers are not followed: activations are those of transformers' layers"
    config.findings.append(Finding(config.place("model._component_"), "S115", message, None, Severity.WARNING))


def _targets(config: Config, model: str) -> None:
    said = config.words("model.lora_attn_modules") or ()
    strange = [module for module in said if module not in MODULES]
    if strange:
        message, repair = unknown("a module of torchtune's attention", strange[0], MODULES)
        place = config.place("model.lora_attn_modules")
        config.findings.append(Finding(place, "S107", f"model.lora_attn_modules: {message}", repair))
    modules = tuple(dict.fromkeys(MODULES[module] for module in said if module in MODULES))
    if config.truth("model.apply_lora_to_mlp"):
        modules += MLP
    if model.startswith("phi"):  # transformers fuses what torchtune keeps apart
        config.matters("model.lora_attn_modules", "adapters of Phi's unfused projections are not followed")
    elif modules:
        config.put("lora.targets", modules, "model.lora_attn_modules", "model.apply_lora_to_mlp")


def _dtype(config: Config) -> None:
    """Reads the dtype of everything, adapters included; there is no autocast. qlora builders use torchao's NF4."""
    said = config.word("dtype") or "bf16"
    dtype = TORCH_DTYPES.get(said, said)
    config.assume("amp", False, "torchtune trains without autocast")
    if config.value("method") == "qlora":
        config.assume("weights", "nf4", "model._component_")
        if config.value("stack.trainer") != "torchtune":
            config.assume("stack.trainer", "trl", "what it leaves of a quantized model is what torchtune has")
        message = "model._component_: torchao's NF4 is taken to be as large as that of bitsandbytes: MBs differ"
        config.findings.append(Finding(config.place("model._component_"), "S115", message, None, Severity.WARNING))
        config.assume("double_quant", True, "torchao's NF4 quantizes its scales")
        config.put("compute", dtype, "dtype")
    else:
        config.put("weights", dtype, "dtype")
    if config.value("method") != "full":
        config.assume("lora.dtype", dtype, "dtype")


def _optimizer(config: Config) -> None:
    component = config.word("optimizer._component_")
    if component is None:
        if "optimizer" not in config.said:
            message = "no optimizer: this is no configuration of a recipe that trains"
            config.findings.append(Finding(config.place("optimizer"), "S105", message, "add --optimizer"))
        return
    if component not in COMPONENTS:
        if "optimizer" not in config.said:
            message, repair = unknown("an optimizer that is followed", component, COMPONENTS)
            place = config.place("optimizer._component_")
            config.findings.append(Finding(place, "S107", f"optimizer._component_: {message}", repair))
        return
    optimizer, momentum = COMPONENTS[component], config.decimal("optimizer.momentum")
    if momentum and optimizer == "rmsprop":
        config.matters("optimizer.momentum", "no formula for RMSprop with momentum yet")
    optimizer = "sgd_momentum" if momentum and optimizer == "sgd" else optimizer
    config.put("optimizer", optimizer, "optimizer._component_")
    if "optimizer" not in config.said:
        note_decay(config, optimizer, "optimizer.weight_decay")
    fused = config.truth("optimizer.fused")
    _in_backward(config)
    if component.startswith("torch."):
        one_by_one = config.truth("optimizer.foreach") is False
        implementation = "fused" if fused else "for-loop" if one_by_one else "foreach"
        config.assume("optimizer_implementation", implementation, "optimizer.fused, optimizer.foreach")


def _in_backward(config: Config) -> None:
    """Reads optimizer steps inside backward, which recipes of full training have (recipes/full_finetune_*.py)."""
    if not config.truth("optimizer_in_bwd"):
        return
    if config.value("method") == "full":
        config.put("optimizer_in_backward", True, "optimizer_in_bwd")
    else:
        config.matters("optimizer_in_bwd", "torchtune's recipes for adapters do not read it", stops=False)
