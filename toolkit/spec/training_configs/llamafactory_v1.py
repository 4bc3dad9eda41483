"""LLaMA-Factory's v1 YAML, which has its own keys. Defaults are those of src/llamafactory/v1 (2026-08).

It trains with its own loop: config/training_args.py and model_args.py, core/base_trainer.py and model_engine.py,
plugins/model_plugins/peft.py and quantization.py, plugins/trainer_plugins/distributed/fsdp2.py.
"""

from __future__ import annotations

import re

from toolkit.finding import Finding, Severity
from toolkit.spec.fields.value import Fixed
from toolkit.spec.training_configs.adapters import take_copies
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.optimizers import take_muon
from toolkit.spec.training_configs.parallel import forget_parallel, is_alone, runs_alone, take_deepspeed_file
from toolkit.spec.training_configs.training_arguments import TORCH_DTYPES, take_attention, take_model
from toolkit.spec.yaml.known import unknown
from toolkit.spec.yaml.node import Entries

OWN = ("model_class", "dist_config", "kernel_config", "train_dataset", "sample_backend", "peft_config", "optim_config")
"""Keys that the older trainer does not have."""
DISTRIBUTED = ("fsdp2", "deepspeed")
STOPS = (
    ("cp_size", "context parallelism is not followed"),
    ("mp_replicate_size", "shards on groups of GPUs are not followed"),
    ("peft_config.adapter_name_or_path", "training that goes on from a saved adapter is not followed"),
)
OTHER_RUNS = (("pref_loss", "its losses on pairs are not followed"),)
"""Keys without which the file would be another run's."""
ONE = frozenset({"cp_size", "mp_replicate_size"})
"""Keys for which 1 means none."""
_STAGE = re.compile(r"(?:zero|z)_?([0123])(?![0-9])")
COMPUTE = "float16"
"""quantization.py, BnbParams: the default compute dtype."""


def is_v1(entries: Entries) -> bool:
    """Whether a file has the keys of the v1 trainer."""
    return "model" in entries and "model_name_or_path" not in entries and any(key in entries for key in OWN)


def take_llamafactory_v1(config: Config) -> None:
    """Reads a configuration of the v1 trainer as supervised fine-tuning; a loss on pairs is refused."""
    config.assume("stack.trainer", "plain", "a loop of LLaMA-Factory's own")
    config.assume("stack.loss", "cross-entropy", "of float32 logits of all tokens (core/base_trainer.py)")
    take_model(config, "model")
    batch = config.whole("micro_batch_size") or 1
    config.assume("batch_size", batch, "micro_batch_size, by default 1")
    config.assume("sequence_length", config.whole("cutoff_len") or 2048, "cutoff_len, by default 2048")
    if batch > 1:
        reason = "the loss of several rows makes one more float32 copy of all logits, which is not counted"
        config.matters("micro_batch_size", reason, stops=False)
    checkpointing = config.truth("enable_activation_checkpointing") is not False
    config.assume("gradient_checkpointing", "non-reentrant" if checkpointing else False, "by default on")
    take_attention(config, "flash_attn")
    _shared(config)
    _accumulation(config, batch)
    _precision(config)
    _optimizer(config)
    _kernels(config)
    if config.word("batching_strategy") not in (None, "normal"):
        config.matters("batching_strategy", "rows are counted as those of normal: one sample each", stops=False)
    config.matters_where_said(row for row in STOPS if not (row[0] in ONE and config.node(row[0]) == "1"))
    config.matters_where_said(OTHER_RUNS, repair=None)
    said = config.word("bf16")
    if said is not None and config.value("parallel.strategy") != "fsdp2":
        config.matters("bf16", "without fsdp2 nothing reads it: weights keep their dtype", stops=False)


def _shared(config: Config) -> None:
    """Reads how a run is sharded: FSDP2 computes in bfloat16 unless bf16 is false; DeepSpeed's file names its stage."""
    name = config.word("dist_config.name")
    if name is None:
        if "parallel.gpus" in config.said and not is_alone(config):
            config.assume("parallel.strategy", "ddp", "several processes without dist_config")
        return
    strategy = name if name == "fsdp2" else ""
    if name == "deepspeed":
        file = config.word("dist_config.config_file") or ""
        found = _STAGE.search(file.lower().rpartition("/")[2])
        strategy = take_deepspeed_file(config, file) or (f"zero{found[1]}" if found and found[1] != "0" else "")
    if not strategy:
        message, repair = unknown("a way to share a run that is followed", name, DISTRIBUTED)
        place = config.place("dist_config.name")
        config.findings.append(Finding(place, "S107", f"dist_config.name: {message}", repair))
    elif "parallel.gpus" not in config.said:
        message = f"{strategy}: the file does not say on how many GPUs it runs"
        config.findings.append(Finding(config.place("dist_config"), "S105", message, "add --parallel-gpus N"))
        forget_parallel(config)
    else:
        config.put("parallel.strategy", strategy, "dist_config.name")
        if config.truth("dist_config.offload_params"):
            config.put("parallel.offload", True, "dist_config.offload_params")
        if config.truth("dist_config.reshard_after_forward") is False:
            config.put("parallel.reshard_after_forward", False, "dist_config.reshard_after_forward")
        if is_alone(config):
            runs_alone(config, strategy, "dist_config")


def _accumulation(config: Config, batch: int) -> None:
    """`global_batch_size` is the sum of all processes' batches of a step."""
    total, gpus = config.whole("global_batch_size"), config.said.get("parallel.gpus")
    count = gpus.value.value if gpus is not None and isinstance(gpus.value, Fixed) else 1
    each = batch * (count if isinstance(count, int) else 1)
    config.assume("gradient_accumulation", max(1, total // each) if total and each else 1, "global_batch_size")


def _precision(config: Config) -> None:
    """Reads dtypes: full training has float32 parameters; with adapters they have the checkpoint's dtype."""
    method = config.word("peft_config.name")
    mixes = config.value("parallel.strategy") == "fsdp2" and config.truth("bf16") is not False
    config.assume("amp", mixes, "bf16, which fsdp2 reads")
    if method is None:
        config.assume("method", "full", "no peft_config")
        config.assume("weights", "fp32", "what all that is trained is made (core/model_engine.py)")
    elif method == "lora":
        config.assume("method", "lora", "peft_config.name")
        config.assume("weights", "bf16", "the dtype of the checkpoint is taken to be bfloat16")
        _adapters(config)
    else:
        config.assume("method", "full", "peft_config.name")
        config.matters("peft_config.name", f"training of some layers ({method[:20]}) is not followed")
    if config.node("quant_config") is not None:
        _quantized(config)


def _adapters(config: Config) -> None:
    config.assume("lora.rank", config.whole("peft_config.r") or 8, "peft_config.r, by default 8")
    config.assume("lora.alpha", config.whole("peft_config.lora_alpha") or 16, "peft_config.lora_alpha, by default 16")
    dropout = config.decimal("peft_config.lora_dropout")
    config.assume("lora.dropout", 0.05 if dropout is None else dropout, "peft_config.lora_dropout, by default 0.05")
    config.assume("lora.dtype", "fp32", "what peft makes them")
    if config.truth("peft_config.use_dora"):
        config.put("lora.dora", True, "peft_config.use_dora")
    targets = config.words("peft_config.target_modules") or ("all",)
    config.assume("lora.targets", "all-linear" if targets == ("all",) else targets, "peft_config.target_modules")
    take_copies(config, "peft_config.modules_to_save")


def _quantized(config: Config) -> None:
    bits = config.whole("quant_config.quantization_bit") or 4
    if config.word("quant_config.name") not in ("bnb", "auto") or bits not in (4, 8):
        config.matters("quant_config", "only 4 or 8 bit by bitsandbytes are followed")
    elif bits == 8:
        config.put("weights", "int8", "quant_config.quantization_bit")
    else:
        config.put("weights", config.word("quant_config.quantization_type") or "nf4", "quant_config")
        config.assume("method", "qlora", "peft_config with quant_config")
        config.assume("double_quant", config.truth("quant_config.double_quantization") is not False, "quant_config")
        said = config.word("quant_config.compute_dtype") or COMPUTE
        config.assume("compute", TORCH_DTYPES.get(said, said), "quant_config.compute_dtype, by default float16")


def _optimizer(config: Config) -> None:
    name = config.word("optim_config.name")
    if name == "muon":
        take_muon(config, "optim_config.name")
    elif name is not None:
        message, repair = unknown("an optimizer that is followed", name, ("muon",))
        place = config.place("optim_config.name")
        config.findings.append(Finding(place, "S107", f"optim_config.name: {message}", repair))
    else:
        config.assume("optimizer", "adamw", "torch's AdamW, the default of the trainer")
        config.assume("optimizer_implementation", "foreach", "that of torch.optim.AdamW on a GPU")


def _kernels(config: Config) -> None:
    """Reads kernels: Liger's do not replace the loss, which needs logits; `auto` has none for NVIDIA's GPUs."""
    names = config.words("kernel_config.name") or ()
    if "liger_kernel" in names:
        config.put("kernels.liger", "instance", "kernel_config.name")
    others = [name for name in names if name not in ("auto", "liger_kernel")]
    if others:
        message = f"kernel_config.name: {', '.join(others)} is not followed: transformers' code is"
        config.findings.append(Finding(config.place("kernel_config.name"), "S115", message, None, Severity.WARNING))
