"""Which dtype each part of a run has, by the rules of the libraries that run it."""

from __future__ import annotations

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.memory.libraries.trainers import MEGATRON, UNSLOTH
from toolkit.memory.libraries.unfused_attention import unfused
from toolkit.memory.libraries.versions import older
from toolkit.memory.weights.adapter_dtypes import (
    adapter_dtype,
    adapter_products,
    adds_in_place,
    gathered_adapter,
    keeps_unit,
)
from toolkit.memory.weights.backward import (
    accumulates,
    checkpoint_form,
    flattens_frozen,
    gives_first_gradient,
    steps_in_backward,
)
from toolkit.memory.weights.casts import casts_back, dtype_between_units, prepares_for_kbit, widens_results
from toolkit.memory.weights.linear_storage import (
    follows_input,
    is_halved,
    keeps_input,
    storage_of,
    unpacks_at_once,
    working_dtype,
)
from toolkit.spec.settings.setting import OWN, Kernels, Setting

ALWAYS_MASKS_UNTIL = Version("5")
"""Before, BERT's eager attention added a mask to the scores though nothing is masked (get_extended_attention_mask)."""
TORCH_SOFTMAX_SAVES_LESS = Version("1.11")
"""Before, softmax saved its input for backward beside its result, and used it for its dtype (pull request 65242)."""


@frozen
class Numerics:
    """The dtypes of a run, and the rules of its libraries: all that a tape depends on beside the architecture.

    Dtypes are names such as "bf16"; `storage` is a name that `linear_storage.storage_of` gives.
    """

    linear: str  # of plain linear weights
    embedding: str
    norm: str
    head: str
    storage: str  # of quantizable linears
    compute: str
    autocast: str | None
    trains_base: bool
    adapter: str | None
    gradient: str
    accumulates: bool  # each gradient is freed during backward
    nested: bool  # the scales of 4-bit weights are quantized as well
    keeps_input: bool  # a 4-bit product keeps its input for backward
    follows: bool  # 4-bit layers work in the dtype of their input
    halved: bool  # 4-bit weights dequantize to 16 bits first, and are then cast to the compute dtype
    unpacks: bool  # except in a forward pass, where they dequantize to the dtype of the product
    loaded: str  # of what is not quantized, before anything is cast
    stream: str  # of the residual stream: the result of the embeddings
    first_grad: bool  # a gradient flows to the first layer's input
    attention: str
    checkpointing: str
    adapter_products: str | None = None  # of adapters as FSDP gathers them, where that differs
    gathered_adapter: str | None = None  # of adapters while fully_shard has their unit gathered, where that differs
    between: str | None = None  # the dtype to which every unit of fully_shard casts its result
    padded: bool = False  # the token mask has zeros
    packing: str = "none"  # as packing.laid_out says
    adds_in_place: bool = False  # an adapter's result is added in place to that of its layer
    keeps_unit: bool = False  # DoRA names the unit matrix that it multiplies until it has its result
    keeps_scores: bool = False  # softmax saves its input as well
    adds_masks: bool = False  # BERT's eager attention adds a mask in the dtype of the weights, padded or not
    kernels: Kernels = OWN
    unfused: str = ""  # the heads for which sdpa has no fused kernel on this GPU (unfused_attention.unfused)
    widens_results: bool = False  # accelerate casts the model's results to float32
    steps: int | None = None  # tensors of a parameter's size that its step inside backward takes, if it has one


def _new_gradient(setting: Setting) -> str:
    """The dtype of a gradient as backward makes it: Megatron-LM adds it to a float32 buffer, and frees it.

    Source: megatron/core/distributed/distributed_data_parallel.py, _make_backward_post_hook.
    """
    return setting.weights if setting.stack.trainer == MEGATRON else setting.gradients


def numerics(setting: Setting) -> Numerics:
    """The dtypes that a setting runs with."""
    plain = working_dtype(setting)
    rest = "fp32" if prepares_for_kbit(setting) else plain
    embedding = plain if casts_back(setting) else rest
    return Numerics(
        linear=rest,
        embedding=embedding,
        norm=rest,
        head=embedding,
        storage=storage_of(setting),
        compute=setting.compute,
        autocast=setting.compute if setting.trains and setting.amp and setting.compute != "fp32" else None,
        trains_base=setting.method == "full" or flattens_frozen(setting),
        adapter=adapter_dtype(setting),
        gradient=_new_gradient(setting) if setting.trains else setting.compute,  # without training nothing has it
        accumulates=accumulates(setting),
        nested=setting.double_quant,
        keeps_input=keeps_input(setting),
        follows=follows_input(setting),
        halved=is_halved(setting),
        unpacks=unpacks_at_once(setting),
        loaded=plain,
        stream=embedding,
        first_grad=gives_first_gradient(setting),
        attention="flash" if setting.stack.trainer in UNSLOTH else setting.attention,
        checkpointing=checkpoint_form(setting),
        adapter_products=adapter_products(setting),
        gathered_adapter=gathered_adapter(setting),
        between=dtype_between_units(setting),
        padded=setting.padding,
        packing=setting.packing,
        kernels=setting.kernels,
        unfused=unfused(setting),
        steps=steps_in_backward(setting),
        widens_results=widens_results(setting),
        adds_in_place=adds_in_place(setting),
        keeps_unit=keeps_unit(setting),
        keeps_scores=setting.trains and older(setting, "torch", TORCH_SOFTMAX_SAVES_LESS),
        adds_masks=older(setting, "transformers", ALWAYS_MASKS_UNTIL),
    )
