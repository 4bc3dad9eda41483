"""Which dtype each part of a run has, by the rules of the libraries that run it."""

from __future__ import annotations

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.memory.libraries.packed_kernels import AUTOAWQ_WRITES_OUT_FROM, GEMV, GPTQ_OF_4_BITS, dense_from
from toolkit.memory.libraries.unfused_attention import unfused
from toolkit.memory.libraries.versions import older
from toolkit.spec.fields import names
from toolkit.spec.fields.kernel_names import FSDP_IGNORES
from toolkit.spec.settings import stack_rules
from toolkit.spec.settings.setting import OWN, Kernels, Setting

FOUR_BIT = ("nf4", "fp4")
EIGHT_BIT = ("int8",)
QUANTIZED = FOUR_BIT + EIGHT_BIT
TRITON, UNPACKED = GPTQ_TRAINS = ("triton", "torch")
"""Storage of GPTQ weights in training: triton v2 writes them out for each product; or autograd keeps what torch did."""
TRAINS_INPUTS = frozenset({"full", "p_tuning", "prompt_tuning", "trainable_tokens"})
"""Methods that train what the first layer is given."""
AUTO_GPTQ_UNTIL = Version("4.49")
AUTO_AWQ_UNTIL = Version("5.0")
"""transformers ran GPTQ by auto-gptq and AWQ by autoawq; since then gptqmodel multiplies by weights as packed."""
TRL = ("trl",)
FUSED_ROWS = 4
"""Rows up to which bitsandbytes multiplies by 4-bit weights as they are, on every GPU (gemm_4bit, its smallest M)."""
FUSED_ROWS_BEFORE = 1
UNSLOTH = ("unsloth",)
TORCHTUNE = "torchtune"
TORCHTITAN = "torchtitan"
TORCHTITAN_STOPS_LATE = Version("0.2")
"""torchtitan/config/job_config.py, early_stop; before, torch's default was left, which stops early."""
TO_THE_END = ", to the end"
SELECTIVE = "selective"
"""Checkpoints that keep what some operations gave."""
BY_ACCELERATE = ("transformers", *TRL, *UNSLOTH)
"""Trainers under which accelerate puts autocast around the model."""
LOOPS_IN_TORCH = ("plain", TORCHTUNE, TORCHTITAN)
"""Trainers that share a model out by torch alone, without accelerate."""
UNPREPARED = (*UNSLOTH, "litgpt", TORCHTUNE)
"""Trainers that leave out peft's prepare_model_for_kbit_training."""
# Versions in which a library changed what it keeps; a stack that names no version is the newest.
BITSANDBYTES_FUSES_MORE = Version("0.50")
"""bitsandbytes pull request 1949; before, the only such kernel was for one row (gemv_4bit)."""
BITSANDBYTES_FREES_INPUTS = Version("0.43.2")
BITSANDBYTES_KEEPS_COMPUTE = Version("0.47")
"""Before, a 4-bit layer took the dtype of its first input for its compute dtype, but for float16 (set_compute_type)."""
BITSANDBYTES_KEEPS_DTYPE = Version("0.43")
"""Before, Params4bit halved what it quantized (nn/modules.py), so that a dequantized weight was float16 at first."""
PEFT_ADDS_ANEW = Version("0.16")
"""Before, peft added what adapters give to a GPTQ layer's result in place (tuners/lora/gptq.py)."""
ALWAYS_MASKS_UNTIL = Version("5")
"""BERT's eager attention added a mask to scores even where there is nothing to mask (get_extended_attention_mask)."""
BY_FROM_PRETRAINED = ("transformers", *TRL, "plain")
"""Trainers whose models transformers loads, with a dtype that is not that of products."""
LOADS_AS_FILED = Version("5")
"""Before, what bitsandbytes does not quantize was float16 where nothing is said."""
TORCH_SOFTMAX_SAVES_LESS = Version("1.11")
"""Before, softmax saved its input for backward beside its result, and used it for its dtype (pull request 65242)."""
TORCH_FREES_GRADIENTS = Version("2.0")
"""Before, zero_grad filled gradients with zeros, so that they were there in the next pass (torch/nn/modules)."""
ADAMW_STEPS = {"foreach": 1, "for-loop": 2}
"""The root of a parameter's second moment, and its quotient (torch/optim/adamw.py)."""
LOMO_STEPS = {"lomo": (0, 3), "adalomo": (2, 5)}
"""Tensors of a gradient's size that a step needs beside it: of float32 parameters, and of 16-bit ones.

LOMO makes a float32 gradient, lets the other go, and makes a float32 parameter: 8 bytes an element. AdaLomo has the
square of the gradient and its sum with a constant beside it. Source: lomo_optim 0.1.1, lomo.py and adalomo.py.
"""
LITGPT_CACHES_GROUPS = Version("0.5.5")
"""LitGPT pull requests 1013 and 1891; before, keys and values were repeated for every query head, then kept."""
TRL_PREPARES_UNTIL = stack_rules.TRL_CASTS_ADAPTERS  # since then SFTTrainer leaves the base as it is loaded

CASTS_BACK = ("embed_tokens", "lm_head", "wpe", "wte")
"""Parts of the names of modules that TRL casts back to bfloat16 after peft has prepared them (trainer/utils.py)."""


@frozen
class Numerics:
    """The dtypes of a run. All that a tape depends on beside the architecture.

    `linear` is the dtype of plain linear weights, `other` that of embeddings, heads and norms unless they differ;
    `storage` of the quantizable linears is plain, 4bit, 8bit, fp8, awq or gptq (of 8 bits), or one
    of these dense, where it writes weights out; in training the kernel of GPTQ weights.
    """

    linear: str
    embedding: str
    norm: str
    head: str
    storage: str
    compute: str
    autocast: str | None
    trains_base: bool
    adapter: str | None
    gradient: str
    accumulates: bool
    nested: bool
    keeps_input: bool
    follows: bool  # 4-bit layers work in the dtype of what they are given
    halved: bool  # quantized from 16 bits, and cast to the compute dtype each time that it is dequantized
    unpacks: bool  # but for products of a forward pass, which have it in their dtype at once
    loaded: str  # what is not quantized, before anything is cast
    stream: str  # the residual stream: what embeddings give
    first_grad: bool  # whether a gradient flows to the first layer's input
    attention: str
    checkpointing: str
    adapter_products: str | None = None
    gathered_adapter: str | None = None  # the dtype of adapters while their unit is gathered, where it is another one
    between: str | None = None  # the dtype to which every unit casts what it gives
    padded: bool = False  # the mask of tokens has zeros
    packing: str = "none"  # as packing.laid_out says
    adds_in_place: bool = False  # what adapters give, to what the layer gives
    keeps_scores: bool = False  # softmax saves what it is given, too
    adds_masks: bool = False  # BERT's eager attention adds a mask in the dtype of the weights, whatever its rows
    kernels: Kernels = OWN
    unfused: str = ""  # which heads sdpa has no fused kernel for on this GPU, as unfused_attention.unfused says
    widens_results: bool = False  # accelerate makes what a model gives under autocast float32
    steps: int | None = None  # tensors of a parameter's size that its step inside of backward takes, if it has one


def numerics(setting: Setting) -> Numerics:
    """The dtypes that a setting runs with."""
    storage = _storage(setting)
    plain = working_dtype(setting)
    rest = "fp32" if prepares_for_kbit(setting) else plain
    embedding = plain if casts_back(setting) else rest
    return Numerics(
        linear=rest,
        embedding=embedding,
        norm=rest,
        head=embedding,
        storage=storage,
        compute=setting.compute,
        autocast=setting.compute if setting.trains and setting.amp and setting.compute != "fp32" else None,
        trains_base=setting.method == "full" or flattens_frozen(setting),
        adapter=adapter_dtype(setting),
        gradient=setting.gradients if setting.trains else setting.compute,  # of no gradient that is made
        accumulates=accumulates(setting),
        nested=setting.double_quant,
        keeps_input=older(setting, "bitsandbytes", BITSANDBYTES_FREES_INPUTS),
        follows=older(setting, "bitsandbytes", BITSANDBYTES_KEEPS_COMPUTE),
        halved=_halved(setting),
        unpacks=_unpacks(setting),
        loaded=plain,
        stream=embedding,
        first_grad=setting.method in TRAINS_INPUTS or _makes_inputs_need_gradients(setting),
        attention="flash" if setting.stack.trainer in UNSLOTH else setting.attention,
        checkpointing=_checkpoints(setting) if setting.trains else "false",
        adapter_products=adapter_products(setting),
        gathered_adapter=gathered_adapter(setting),
        between=_between(setting),
        padded=setting.padding,
        packing=setting.packing,
        kernels=setting.kernels,
        unfused=unfused(setting),
        steps=_steps_in_backward(setting),
        widens_results=widens_results(setting),
        adds_in_place=storage in GPTQ_TRAINS and older(setting, "peft", PEFT_ADDS_ANEW),
        keeps_scores=setting.trains and older(setting, "torch", TORCH_SOFTMAX_SAVES_LESS),
        adds_masks=older(setting, "transformers", ALWAYS_MASKS_UNTIL),
    )


def widens_results(setting: Setting) -> bool:
    """Whether accelerate makes what the model gives float32, as it does wherever it puts autocast around it.

    Source: accelerate accelerator.py, prepare_model (convert_outputs_to_fp32); DeepSpeed's engines have none.
    """
    mixes = setting.trains and setting.amp and setting.compute != "fp32"
    return mixes and setting.stack.trainer in BY_ACCELERATE and setting.parallel.strategy not in names.DEEPSPEED


def _steps_in_backward(setting: Setting) -> int | None:
    if not (setting.trains and setting.optimizer_in_backward):
        return None
    if setting.optimizer in names.LOMO:
        return LOMO_STEPS[setting.optimizer][setting.gradients != "fp32"]
    return ADAMW_STEPS.get(setting.optimizer_implementation, 0) if setting.optimizer == "adamw" else 0


def flattens_frozen(setting: Setting) -> bool:
    """Whether frozen weights are in flat parameters with adapters, so that backward makes gradients of them as well.

    LitGPT makes every block a unit as it is (finetune/lora.py, auto_wrap_policy). What a module has of a flat parameter
    are views of it, which need gradients as soon as anything in it does (torch/distributed/fsdp/_flat_param.py,
    _use_unsharded_views; wrap.py, _validate_frozen_params, warns of it).
    """
    shares = setting.stack.trainer == "litgpt" and setting.parallel.strategy == "fsdp"
    return shares and setting.trains and setting.lora is not None


def _checkpoints(setting: Setting) -> str:
    """The form of checkpoints. With `TO_THE_END` a layer runs again to its end, though what backward needs is there."""
    form = setting.gradient_checkpointing
    lasts = setting.stack.trainer == TORCHTITAN and not older(setting, TORCHTITAN, TORCHTITAN_STOPS_LATE)
    return form + TO_THE_END if form != "false" and lasts else form


def _makes_inputs_need_gradients(setting: Setting) -> bool:
    """Whether embeddings are made to need a gradient, as reentrant checkpoints want it; torchtune does not."""
    return setting.gradient_checkpointing != "false" and setting.stack.trainer != TORCHTUNE


def accumulates(setting: Setting) -> bool:
    """Whether gradients are free as soon as they are done with: added to those of micro-batches before, or stepped by.

    Older torch's zero_grad left zeros to add them to.
    """
    stays = setting.gradient_accumulation > 1 or older(setting, "torch", TORCH_FREES_GRADIENTS)
    return setting.trains and (stays or setting.optimizer_in_backward)


def _halved(setting: Setting) -> bool:
    """Whether 4-bit weights were 16-bit before, and products are not in that dtype.

    Fabric quantizes from float16 (plugins/precision/bitsandbytes.py).
    """
    if setting.weights in FOUR_BIT and working_dtype(setting) != setting.compute:
        return True
    fabric = setting.stack.trainer == "litgpt"
    return setting.compute != "fp16" and (fabric or older(setting, "bitsandbytes", BITSANDBYTES_KEEPS_DTYPE))


def _unpacks(setting: Setting) -> bool:
    """Whether bitsandbytes dequantizes to the dtype of a product at once; LitGPT's releases ask for older ones."""
    return setting.stack.trainer != "litgpt" and not older(setting, "bitsandbytes", BITSANDBYTES_FUSES_MORE)


def _storage(setting: Setting) -> str:
    if setting.weights in FOUR_BIT:
        return "4bit"
    if setting.weights in EIGHT_BIT:
        return "8bit"
    if setting.trains and setting.weights == "gptq-int4" and setting.kernels.gptq in GPTQ_TRAINS:
        return str(setting.kernels.gptq)
    if setting.kernels.awq == GEMV:
        return GEMV
    least = dense_from(setting)
    if least is not None:
        kernel = setting.weights.partition("-")[0]
        if not older(setting, "transformers", AUTO_AWQ_UNTIL if kernel == "awq" else AUTO_GPTQ_UNTIL):
            return "plain"
        if kernel == "awq" and older(setting, "autoawq", AUTOAWQ_WRITES_OUT_FROM):
            return kernel
        rows = setting.batch_size * setting.sequence_length
        kernel = GPTQ_OF_4_BITS if setting.weights == "gptq-int4" else kernel
        return f"{kernel} dense" if rows >= least else kernel
    return "fp8" if setting.weights == "fp8" else "plain"


def working_dtype(setting: Setting) -> str:
    """The dtype in which unquantized linear layers work: their own, or for packed formats the compute dtype.

    Beside 4-bit weights whose products are in float32, as bitsandbytes has them unless told otherwise, from_pretrained
    loads it as the file has it ("auto"), taken for bfloat16; transformers before 5 made it float16
    (quantizer_bnb_4bit.py, update_torch_dtype).
    """
    if setting.weights in names.FLOATS:
        return setting.weights
    if setting.weights in FOUR_BIT and setting.compute == "fp32" and setting.stack.trainer in BY_FROM_PRETRAINED:
        return "fp16" if older(setting, "transformers", LOADS_AS_FILED) else "bf16"
    return setting.compute


def prepares_for_kbit(setting: Setting) -> bool:
    """Whether peft's prepare_model_for_kbit_training casts all that is not quantized to float32 (utils/other.py)."""
    quantized = setting.trains and setting.weights in QUANTIZED
    if not quantized or setting.upcast is not None:
        return quantized and bool(setting.upcast)
    if setting.stack.trainer in UNPREPARED:
        return False
    if setting.parallel.strategy in names.SHARDS_WEIGHTS:  # trl sft_trainer.py, is_sharded_qlora
        return False
    if setting.parallel.strategy in names.DEEPSPEED:  # which casts all that is float back (zero_held)
        return False
    return setting.stack.trainer not in TRL or older(setting, "trl", TRL_PREPARES_UNTIL)


def casts_back(setting: Setting) -> bool:
    """Whether TRL casts prepared embeddings and heads back to bfloat16 (peft_module_casting_to_bf16, not the norms)."""
    return (
        setting.stack.trainer in TRL
        and setting.upcast is None  # what is prepared beforehand it leaves alone
        and prepares_for_kbit(setting)
        and setting.weights in FOUR_BIT
        and setting.compute == "bf16"
        and setting.amp
    )


def adapter_dtype(setting: Setting) -> str | None:
    """The dtype of adapters: peft makes them float32 over 16-bit weights; TRL casts those of quantized models."""
    if setting.peft is not None and setting.trains:
        return setting.peft.dtype
    if setting.lora is None or not setting.trains:
        return None
    if setting.lora.dtype is not None:
        return setting.lora.dtype
    sharded = setting.parallel.strategy in names.SHARDS_WEIGHTS
    return stack_rules.adapter_dtype(
        setting.stack.trainer, setting.weights, setting.compute, setting.stack.versions,
        sharded=sharded, ignored=setting.kernels.adapters in FSDP_IGNORES,
    )  # fmt: skip


def adapter_products(setting: Setting) -> str | None:
    """The dtype in which adapters are gathered, where that is not their own.

    A Trainer sets FSDP's mixed precision to the dtype in which 4-bit weights are stored, with or without autocast
    (transformers trainer.py, _fsdp_qlora_plugin_updates).
    """
    apart = setting.kernels.adapters in FSDP_IGNORES  # which FSDP ignores
    gathers = not apart and setting.parallel.strategy == "fsdp" and setting.stack.trainer in ("transformers", *TRL)
    return setting.compute if gathers and setting.weights in names.FLOAT_ELEMENTS and setting.lora is not None else None


def gathered_adapter(setting: Setting) -> str | None:
    """The dtype in which fully_shard gathers adapters with their layer, which is that of their gradients in a pass."""
    shares = setting.trains and setting.parallel.strategy == "fsdp2" and setting.lora is not None
    return setting.gradients if shares else None


def _between(setting: Setting) -> str | None:
    """The dtype to which units of fully_shard cast what they give: accelerate's policy says one of outputs.

    Source: accelerate utils/dataclasses.py, set_mixed_precision (output_dtype).
    """
    mixes = setting.trains and setting.amp and setting.parallel.strategy == "fsdp2"
    return setting.compute if mixes and setting.stack.trainer in BY_ACCELERATE else None


def fuses(setting: Setting) -> bool:
    """Whether a token of each sequence is few enough to be multiplied by 4-bit weights as they are."""
    least = dense_from(setting)
    if least is not None:
        return setting.batch_size < least
    before = older(setting, "bitsandbytes", BITSANDBYTES_FUSES_MORE)
    return setting.batch_size <= (FUSED_ROWS_BEFORE if before else FUSED_ROWS)
