"""What the libraries do where a scenario leaves it to them: dtypes, checkpointing, optimizer, loss.

Sources are read at the versions of transformers 5.23, peft 0.21 and TRL 1.x; a stack that names no version is
the newest.
"""

from __future__ import annotations

from collections.abc import Mapping

from packaging.version import InvalidVersion, Version

from toolkit.spec.fields import names
from toolkit.spec.fields.objective import NEXT_TOKEN, PREFERENCES

MEGATRON = "megatron"
_HALF = ("bf16", "fp16")
_BITSANDBYTES = ("nf4", "fp4", "int8")

PEFT_PROMOTES = Version("0.12")
"""peft pull request 1706 (`autocast_adapter_dtype`): adapters beside 16-bit weights are float32."""

PEFT_CASTS_OSF = Version("0.18.2.dev0")
"""peft pull request 2893: before, OSF's parameters took the dtype of the weights (tuners/osf/model.py)."""

TRANSFORMERS_FUSED = Version("4.54")
TORCH_FUSED = Version("2.8")
"""transformers pull request 37358: from torch 2.8 a Trainer's AdamW is the fused one (training_args.py)."""

TRANSFORMERS_NON_REENTRANT = Version("5.0")
TRL_NON_REENTRANT = Version("0.27")
"""transformers modeling_utils.py (`{"use_reentrant": False}`), TRL pull request 4811; before, reentrant."""

TRL_CASTS_ADAPTERS = Version("0.26")
"""SFTTrainer casts trained parameters of models in 4 or 8 bit to bfloat16, and leaves the rest as it is loaded."""

TRL_FOR_NEW, TRANSFORMERS_NEW = Version("0.23"), Version("4.56.1")
"""The first TRL that needs so new a transformers (its metadata): beside an older one stands an older TRL."""

ACCELERATE_UPCASTS = Version("0.30")
"""accelerator.py, prepare_model: under mixed precision FSDP's trained parameters are made float32."""

TORCHTITAN_FUSED = Version("0.1")
"""torchtitan/config_manager.py, implementation; before, --optimizer.fused was off unless said."""

TRL_PREFERS_IN_TILES = Version("1.15")
"""Since then trainers with a reference take log-probabilities in tiles; before, of all logits."""
TORCHTUNE_CHUNKED = Version("0.3")
TRL_CHUNKED = Version("1.7")
"""SFTConfig's `loss_type` is "chunked_nll" since TRL 1.7: the logits of 256 tokens at a time."""

VLLM_COUNTS_GRAPHS = Version("0.21")
"""vLLM pull request 38284: CUDA graphs are counted within vLLM's share of the card, and the share is 0.92, not 0.9."""

Versions = Mapping[str, str]


def release(versions: Versions, package: str) -> Version | None:
    """The version of a package that a stack names; None where it names none, or one that is no version."""
    try:
        return Version(versions[package])
    except (KeyError, InvalidVersion):
        return None


def _older(versions: Versions, package: str, than: Version) -> bool:
    stated = release(versions, package)
    return stated < than if stated is not None else surely_older(versions, package, than)


def surely_older(versions: Versions, package: str, than: Version) -> bool:
    """Whether a package that a stack names no version of is older than one, as the rest of the stack needs it to be."""
    return package == "trl" and than >= TRL_FOR_NEW and _older(versions, "transformers", TRANSFORMERS_NEW)


def compute_dtype(weights: str, *, amp: bool) -> str:
    """The dtype of products: the weights'; bf16 under autocast of float32 weights and for packed ones."""
    if weights in _HALF:
        return weights
    return "fp32" if weights == "fp32" and not amp else "bf16"


def adapter_dtype(
    trainer: str, weights: str, compute: str, versions: Versions, *, sharded: bool = False, ignored: bool = False,
    trains: bool = True,
) -> str:  # fmt: skip
    """The dtype of LoRA's weights.

    peft makes them float32 (tuners_utils.py, cast_adapter_dtype; before 0.12 those beside 16-bit weights took
    their dtype, and so did those beside 4-bit weights that lie in 16-bit elements, as they do where they are
    `sharded`, until accelerate made them float32, but for those that FSDP `ignored`). TRL casts those of a quantized
    model to bfloat16 since 0.26 (sft_trainer.py; before, its peft_module_casting_to_bf16 left adapters as they were).
    Unsloth keeps them in float32. LitGPT makes them in the run's precision. No trainer casts those that a model is
    given to answer with: PeftModel.from_pretrained makes them by the same rule of peft.
    """
    if trainer in ("litgpt", "torchtune"):
        return compute
    if trains and trainer == "trl" and weights in _BITSANDBYTES and not _older(versions, "trl", TRL_CASTS_ADAPTERS):
        return "bf16"
    upcast = (accelerate := release(versions, "accelerate")) is not None and accelerate >= ACCELERATE_UPCASTS
    kept = ignored or not upcast
    half = compute if sharded and weights in names.FLOAT_ELEMENTS and kept else weights
    if half in _HALF and trainer != "unsloth" and _older(versions, "peft", PEFT_PROMOTES):
        return half
    return "fp32"


def osf_follows_weights(versions: Versions) -> bool:
    """Whether OSF's parameters have the dtype of the weights that they are made of."""
    return _older(versions, "peft", PEFT_CASTS_OSF)


def checkpointing_form(trainer: str, versions: Versions) -> str:
    """The form that `gradient_checkpointing: true` means.

    Unsloth's own checkpoints and Megatron-LM's are autograd functions: reentrant. A plain loop that names transformers
    calls its model's gradient_checkpointing_enable, as a Trainer does.
    """
    if trainer in ("unsloth", MEGATRON):
        return "reentrant"
    if trainer == "trl" and (stated := release(versions, "trl")) is not None:
        if stated >= TRL_NON_REENTRANT:
            return "non-reentrant"
        if release(versions, "transformers") is None:
            return "reentrant"
    if trainer in ("transformers", "trl", "plain") and _older(versions, "transformers", TRANSFORMERS_NON_REENTRANT):
        return "reentrant"
    return "non-reentrant"


def double_quantizations(trainer: str) -> tuple[bool, ...]:
    """Whether 4-bit weights have their scales quantized, too, where nothing is said.

    Unsloth's loaders set it (2025.11.1: models/llama.py, models/vision.py, models/loader.py); transformers
    leaves it off, and QLoRA's paper and most guides turn it on.
    """
    return (True,) if trainer == "unsloth" else (False, True)


def optimizer_implementations(trainer: str, optimizer: str, versions: Versions) -> tuple[str, ...]:
    """The implementations that torch's optimizer may have.

    The one of a Trainer follows from the stated versions.

    All of torch's but, in a Trainer, AdamW take foreach on a GPU where nobody says fused: so does the AdamW beside
    Muon. Other libraries' optimizers have kernels of their own, which leave no copies.
    """
    if optimizer not in names.TORCH_OPTIMIZERS:
        return ("fused",)
    if optimizer == "adamw" and trainer == MEGATRON:  # TransformerEngine's or apex's FusedAdam (core/optimizer)
        return ("fused",)
    if optimizer == "adamw" and trainer == "torchtitan" and not _older(versions, "torchtitan", TORCHTITAN_FUSED):
        return ("fused",)
    if optimizer != "adamw" or trainer in ("plain", "torchtune", "torchtitan"):
        return ("foreach",)
    if _older(versions, "torch", TORCH_FUSED) or _older(versions, "transformers", TRANSFORMERS_FUSED):
        return ("foreach",) if trainer != "litgpt" else ("fused", "foreach")
    if release(versions, "torch") is not None and trainer != "litgpt":
        return ("fused",)
    return ("fused", "foreach")


def losses(trainer: str, versions: Versions, objective: str = NEXT_TOKEN) -> tuple[str, ...]:
    """The losses that a trainer may compute where nothing is said.

    Unsloth fuses output layer and loss, or not, by size. torchtune's recipes take chunks since 0.3. Of TRL's other
    trainers than SFTTrainer those that have a reference never form all logits; the others take them as they are.
    A trl without a version may be of any age, unless what else is stated needs an older one; a configuration is read as
    one of the newest (training_configs/hugging_face.py).
    """
    if objective != NEXT_TOKEN and trainer == "trl":
        tiles = objective in PREFERENCES and not _older(versions, "trl", TRL_PREFERS_IN_TILES)
        return ("chunked",) if tiles else ("cross-entropy",)
    if trainer == "unsloth":
        return ("fused", "cross-entropy")
    if trainer == "torchtune":
        return ("cross-entropy",) if _older(versions, "torchtune", TORCHTUNE_CHUNKED) else ("chunked",)
    if trainer != "trl" or _older(versions, "trl", TRL_CHUNKED):
        return ("cross-entropy",)
    return ("cross-entropy", "chunked") if release(versions, "trl") is None else ("chunked",)


def counts_graphs(versions: Versions) -> bool:
    """Whether vLLM is known to count its CUDA graphs within its share of the card."""
    stated = release(versions, "vllm")
    return stated is not None and stated >= VLLM_COUNTS_GRAPHS


def vllm_shares(versions: Versions) -> tuple[float, ...]:
    """The shares of the card that vLLM may take where nothing is said (vllm/config/cache.py); without a version, both.

    Guides that name no version were written for either.
    """
    if release(versions, "vllm") is None:
        return (0.92, 0.9)
    return (0.92,) if counts_graphs(versions) else (0.9,)


def states_dtype(optimizer: str, trained: str, master: str | None) -> str:
    """The dtype of the optimizer's states: that of the parameters it updates, or 8 bit.

    bitsandbytes' optimizers with 32-bit states keep float32 whatever they update (bitsandbytes/optim/optimizer.py).
    """
    if optimizer == "none":
        return "none"
    if optimizer in names.OPTIMIZERS_32BIT:
        return "fp32"
    return "int8" if optimizer in names.OPTIMIZERS_8BIT else master or trained
