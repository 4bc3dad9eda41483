"""The parts that all configurations based on transformers' TrainingArguments have in common."""

from __future__ import annotations

from pathlib import PurePosixPath

from toolkit.facts.models import ModelFacts, is_written_out, load_model
from toolkit.finding import Finding
from toolkit.spec.fields.objective import NEXT_TOKEN
from toolkit.spec.training_configs.config import Config
from toolkit.spec.training_configs.trainer_keys import take_other_arguments
from toolkit.spec.yaml.known import shown

TORCH_DTYPES = {
    "float32": "fp32", "torch.float32": "fp32", "float": "fp32", "fp32": "fp32",
    "bfloat16": "bf16", "torch.bfloat16": "bf16", "bf16": "bf16",
    "float16": "fp16", "torch.float16": "fp16", "half": "fp16", "fp16": "fp16",
}  # fmt: skip
ATTENTION = {
    "flash_attention_2": "flash", "flash_attention_3": "flash", "kernels-community/flash-attn": "flash",
    "kernels-community/flash-attn2": "flash", "kernels-community/flash-attn3": "flash",
    "kernels-community/vllm-flash-attn3": "flash", "sdpa": "sdpa", "eager": "eager",
}  # fmt: skip
"""transformers modeling_utils.py: the implementations of attention, each with its name here."""

BATCH = 8
"""transformers training_args.py, per_device_train_batch_size and per_device_eval_batch_size."""


def take_counts(config: Config, batch_default: int = BATCH) -> None:
    """Reads the batch of one GPU and how many batches make a step."""
    batch = config.whole("per_device_train_batch_size", "per_gpu_train_batch_size")
    if batch is not None:
        config.put("batch_size", batch, "per_device_train_batch_size", "per_gpu_train_batch_size")
    else:
        config.assume("batch_size", batch_default, f"the default of {config.tool}")
    take_accumulation(config)
    take_other_arguments(config)
    if config.truth("auto_find_batch_size"):
        config.matters("auto_find_batch_size", "the batch shrinks until it fits", stops=False)


def take_accumulation(config: Config) -> None:
    """Reads the passes before a step; 1 by default."""
    steps = config.whole("gradient_accumulation_steps")
    if steps is not None:
        config.put("gradient_accumulation", steps, "gradient_accumulation_steps")
    else:
        config.assume("gradient_accumulation", 1, f"the default of {config.tool}")


def take_checkpointing(config: Config, *, default: bool, form: str | None = None) -> None:
    """Reads whether and how activations are recomputed; `form` is the tool's default form."""
    keys = ("activation_checkpointing", "gradient_checkpointing")
    kwargs = ("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs")
    said = config.truth(*keys)
    reentrant = config.truth(*(f"{name}.use_reentrant" for name in kwargs))
    for name in kwargs:
        for inner in ("every_n_layers", "selective"):
            if config.node(f"{name}.{inner}") is not None:
                config.matters(f"{name}.{inner}", "checkpointing of some layers is not followed")
    on = default if said is None else said
    value: bool | str = on
    if on and reentrant is not None:
        value = "reentrant" if reentrant else "non-reentrant"
    elif on and form is not None:
        value = form
    if said is None:
        config.assume("gradient_checkpointing", value, f"the default of {config.tool}")
    else:
        config.put("gradient_checkpointing", value, *keys)


def take_offloading(config: Config, key: str, objective: str = NEXT_TOKEN) -> None:
    """Reads whether activations are offloaded, which is followed with checkpoints of torch's newer form."""
    if not config.truth(key):
        return
    newer = config.value("gradient_checkpointing") in (True, "non-reentrant") and config.tool != "transformers"
    if newer and objective == NEXT_TOKEN and config.value("parallel.strategy") in (None, "none"):
        config.put("activation_offloading", True, key)
    else:
        config.matters(key, "activations that are moved to main memory are counted on the GPU", stops=False)


def take_autocast(config: Config, *, default: bool) -> None:
    """Reads `bf16` and `fp16`: the dtype of autocast."""
    bf16, fp16 = config.truth("bf16"), config.truth("fp16")
    if fp16:
        config.put("amp", True, "fp16")
        config.put("compute", "fp16", "fp16")
    elif bf16 is not None:
        config.put("amp", bf16, "bf16")
    else:
        config.assume("amp", default, f"the default of {config.tool}")


def take_attention(config: Config, *keys: str) -> None:
    """Reads the implementation of attention; transformers' default is sdpa."""
    said = config.word(*keys)
    if said is None:
        config.assume("attention", "sdpa", "what transformers takes where a model has it")
    elif said in ATTENTION:
        config.put("attention", ATTENTION[said], *keys)
    else:
        config.matters(keys[0], f"no formula for the attention {said[:40]!r} yet")


def take_dtype(config: Config, default: str | None, *keys: str) -> None:
    """Reads the dtype in which weights are loaded; `auto` is the checkpoint's. A default of None leaves it open."""
    said = config.word(*keys)
    if said == "auto":
        facts = facts_of(config)
        dtype = TORCH_DTYPES.get(facts.checkpoint_dtype or "") if facts else None
        if dtype is not None:
            config.put("weights", dtype, *keys)
    elif said is not None:
        config.put("weights", TORCH_DTYPES.get(said, said), *keys)
    elif default is not None:
        config.assume("weights", default, f"the default of {config.tool}")


def facts_of(config: Config) -> ModelFacts | None:
    """The facts of the model that the file names, if the table of models has it."""
    name = config.value("model")
    facts = load_model(name) if isinstance(name, str) and not is_written_out(name) else None
    return facts if isinstance(facts, ModelFacts) else None


def take_model(config: Config, *keys: str) -> None:
    """Reads the model's id, or a config beside the file; paths that lead elsewhere are refused as in a spec."""
    name = config.word(*keys)
    if name is None:
        return
    path = PurePosixPath(name)
    if (path.is_absolute() or name.startswith("~") or ".." in path.parts) and "model" not in config.said:
        message = f"{config.present(*keys)}: {shown(name)} is a folder of the machine that trains: not looked into"
        repair = "add --model ORGANISATION/NAME, which lies there, or the path of its config.json below this folder"
        config.findings.append(Finding(config.place(*keys), "S109", message, repair))
        config.lost.add("model")
    else:
        config.put("model", name, *keys)
