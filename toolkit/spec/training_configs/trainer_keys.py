"""Keys of transformers' TrainingArguments whose effect on memory is not followed, each with the reason.

Sources: transformers 5.23 training_args.py, trainer.py (use_cache), trainer_utils.py (enable_full_determinism) and
cache_utils.py; training_args.py of earlier releases (sharded_ddp, mp_parameters, half_precision_backend, past_index).
"""

from __future__ import annotations

from toolkit.spec.training_configs.config import Config

_ON_CPU = "it runs without a GPU: what it would need on one is estimated"
_STOPS = (
    ("sharded_ddp", "fairscale's shards are not followed"),
    ("mp_parameters", "SageMaker's model parallelism is not followed"),
)
_GOES_WITHOUT = (
    ("full_determinism", "other workspaces of cuBLAS and buffers of deterministic kernels are not followed"),
    ("use_cache", "the keys and values that a model caches while it trains are not counted"),
    ("torch_empty_cache_steps", "what is reserved is counted as if caches were not emptied between steps"),
    ("use_cpu", _ON_CPU),
    ("no_cuda", _ON_CPU),
    ("use_mps_device", _ON_CPU),
)
_COMPILES = ("torch_compile_mode", "torch_compile_backend")
COMPILED = "what torch.compile fuses is not followed: the estimate is that of eager code"
_SYNCHRONISED = "accelerator_config.gradient_accumulation_kwargs.sync_each_batch"


def take_other_arguments(config: Config) -> None:
    """Refuses or notes the keys of TrainingArguments that move memory and are not followed."""
    config.matters_where_said(_STOPS)
    config.matters_where_said(_GOES_WITHOUT, stops=False)
    if not config.truth("torch_compile"):  # which either of them turns on
        config.matters_where_said(((key, COMPILED) for key in _COMPILES), stops=False)
    for key in ("half_precision_backend", "fp16_backend"):
        if config.word(key) == "apex":
            config.matters(key, "mixed precision by apex is not followed")
    past = config.whole("past_index")
    if past is not None and past >= 0:
        config.matters("past_index", "states that are kept from step to step are not counted", stops=False)
    if (config.whole("n_gpu") or 0) > 1:
        config.matters("n_gpu", "several GPUs of one process, by DataParallel, are not followed: one is", stops=False)
    if config.truth(_SYNCHRONISED):
        config.matters(_SYNCHRONISED, "gradients are counted as they are without it", stops=False)


def note_device(config: Config) -> None:
    """Notes where a key says that the run uses no GPU."""
    if config.word("device") == "cpu":
        config.matters("device", _ON_CPU, stops=False)
