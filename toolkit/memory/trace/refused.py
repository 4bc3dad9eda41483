"""Which scenarios are not traced, and why: what can be said before anything is built, and without torch.

What shows only once a model is there (no head of a kind, code that reads values) is refused where it shows.
"""

from __future__ import annotations

from collections.abc import Callable

from toolkit.memory.formula.optimizers.on_parts import refusal_on_parts
from toolkit.memory.libraries.kept_caches import STATIC
from toolkit.memory.libraries.losses import held_result
from toolkit.memory.libraries.transformers_versions import FROM_LOGITS
from toolkit.memory.parallel.covered import off_schedule
from toolkit.memory.validation import unknown_validation
from toolkit.memory.weights.adapter_dtypes import adapter_dtype
from toolkit.memory.weights.backward import SELECTIVE
from toolkit.memory.weights.linear_storage import QUANTIZED
from toolkit.spec.fields.names import ESTIMATED_ALONE, FLOATS, GALORE, NEVER_FUSED, OPTIMIZERS_32BIT, TORCH_OPTIMIZERS
from toolkit.spec.fields.objective import ADAPTERS_OFF, NEXT_TOKEN, PREFERENCES, REWARD, WHOLE_PAIRS
from toolkit.spec.fields.packing import UNPACKED
from toolkit.spec.fields.process import IN_CONTEXT
from toolkit.spec.fields.result import OWN_LOOP, UNTIL_NEXT, UNTIL_STEP
from toolkit.spec.fields.sampling import GREEDY
from toolkit.spec.settings.setting import OWN, Setting

MXFP4 = "mxfp4"
FSDP2, TENSOR, DDP, PIPELINE = "fsdp2", "tensor", "ddp", "pipeline"
SHARES = (FSDP2, TENSOR)
"""The strategies by which sharded.py shares a model out, by their names in a scenario."""
TRAINERS = ("transformers", "plain", "trl")


def refusal_of(setting: Setting) -> str:
    """Why a setting is not traced; empty where nothing is known to stand against it."""
    return next((reason for rule in RULES if (reason := rule(setting))), "")


def sums_logits(setting: Setting) -> bool:
    """Whether the loss is the sum of all logits, in a loop that has a name for each result until the next."""
    return setting.stack.trainer == "plain" and setting.stack.loss == "sum"


def names_results(setting: Setting) -> bool:
    """Whether the loss is the model's own, in a loop that has a name for each result until the next."""
    return setting.stack.trainer == "plain" and setting.stack.loss == "named"


def takes_logits(setting: Setting) -> bool:
    """Whether a loop takes the loss of what the model gives without labels."""
    return setting.stack.trainer == OWN_LOOP and setting.stack.loss == FROM_LOGITS


def runs_trl(setting: Setting) -> bool:
    """Whether the loss is that of SFTTrainer."""
    return setting.stack.trainer == "trl" and setting.stack.loss == "chunked"


def _trainer(setting: Setting) -> str:
    trainer = setting.stack.trainer
    return "" if trainer in TRAINERS else f"code of {trainer} is not traced yet"


def _offload(setting: Setting) -> str:
    return "offloading is not traced yet" if setting.parallel.offload else ""


def _strategy(setting: Setting) -> str:
    parallel, strategy = setting.parallel, setting.parallel.strategy
    known = setting.parallel.gpus == 1 or strategy in (*SHARES, DDP, PIPELINE)
    if parallel.tensor_parallel > 1:
        return "layers that are split beside a strategy are not traced yet"
    if parallel.schedule is not None:
        return f"a schedule with {what} is not traced yet" if (what := off_schedule(setting)) else ""
    if strategy == PIPELINE and setting.trains and setting.stack.trainer == OWN_LOOP:
        return "loops of one's own are not traced with device_map yet"
    return "" if known else f"{strategy} on several GPUs is not traced yet"


def _weights(setting: Setting) -> str:
    if setting.weights == MXFP4 and setting.trains:
        return "transformers does not train weights in MXFP4 (quantizers/quantizer_mxfp4.py, is_trainable)"
    return "" if setting.weights in (*FLOATS, *QUANTIZED, MXFP4) else f"{setting.weights} weights are not traced yet"


def _master_weights(setting: Setting) -> str:
    return "" if setting.master_weights is None else "a separate copy of master weights is not traced yet"


def _loss(setting: Setting) -> str:
    by_loop = sums_logits(setting) or names_results(setting) or takes_logits(setting)
    known = not setting.trains or setting.stack.loss == "cross-entropy" or runs_trl(setting) or by_loop
    return "" if known else f"the {setting.stack.loss} loss of {setting.stack.trainer} is not traced yet"


def _result(setting: Setting) -> str:
    holds = setting.trains and setting.stack.result in (UNTIL_STEP, UNTIL_NEXT)
    known = not holds or sums_logits(setting) or names_results(setting) or bool(held_result(setting))
    return "" if known else f"a loop that has a name for its result ({setting.stack.result}) is not traced yet"


def _head(setting: Setting) -> str:
    return "a model without a head has no loss to train by" if setting.trains and setting.head == "base" else ""


def _kernels(setting: Setting) -> str:
    return "" if setting.kernels == OWN else "kernels that stand in for parts of a model are not traced yet"


def _checkpoints(setting: Setting) -> str:
    selects = setting.gradient_checkpointing == SELECTIVE
    return "checkpoints that select by operation are not traced yet" if selects else ""


def _engine(setting: Setting) -> str:
    return "engines are not traced" if setting.engine else ""


def _warmup(setting: Setting) -> str:
    return "a loop over the prompt before the run is not traced yet" if setting.warmup else ""


def _loading(setting: Setting) -> str:
    in_context = setting.loading == IN_CONTEXT
    return "a file's tensors beside the model are not traced yet" if in_context else ""


def _sampling(setting: Setting) -> str:
    return "tokens that are drawn are not traced yet" if setting.sampling != GREEDY else ""


def _objective(setting: Setting) -> str:
    objective = setting.objective
    if not setting.trains or objective == NEXT_TOKEN:
        return ""
    if objective in PREFERENCES and (not runs_trl(setting) or setting.packing != UNPACKED):
        return f"{objective} is traced with the chunked loss of trl and one sample a row alone"
    if objective not in PREFERENCES and (setting.stack.trainer != "trl" or setting.packing != UNPACKED):
        return f"{objective} is traced of trl and with one sample a row alone"
    if setting.answer_length:
        return "answers that the model that trains generates itself are not traced yet"
    if objective in WHOLE_PAIRS and setting.weights not in FLOATS:
        return f"what the trainer of {objective} casts of packed weights is not traced yet"
    if (objective == REWARD) != (setting.head == "sequence-classification" and setting.labels == 1):
        return f"{objective} is not for head {setting.head} with {setting.labels} labels"
    if setting.reference == ADAPTERS_OFF and setting.method == "full":
        return "method full has no adapters to switch off"
    return f"{objective} on several GPUs is not traced yet" if setting.parallel.gpus > 1 else ""


def _in_backward(setting: Setting) -> str:
    plain = setting.stack.trainer == "plain" and setting.parallel.gpus == 1 and setting.gradient_accumulation == 1
    known = plain or not setting.trains or not setting.optimizer_in_backward
    return "" if known else "steps inside of backward are traced in a plain loop on one GPU alone"


def _offloaded(setting: Setting) -> str:
    known = runs_trl(setting) and setting.parallel.gpus == 1 and setting.gradient_checkpointing == "non-reentrant"
    if known or not setting.trains or not setting.activation_offloading:
        return ""
    return "offloaded activations are traced of trl with checkpoints of torch's newer form alone"


def _cache(setting: Setting) -> str:
    cache = setting.cache
    if cache is None or setting.trains:
        return ""
    if setting.padding:
        return f"padded rows in a {cache.implementation} cache are not traced yet"
    static = cache.implementation == STATIC
    return "flash attention to a static cache is not traced yet" if static and setting.attention == "flash" else ""


def _gradients(setting: Setting) -> str:
    """Gradients have the dtype of what is trained; nothing else is traced."""
    trained = _trained(setting)
    known = not setting.trains or setting.gradients == trained
    return "" if known else f"{setting.gradients} gradients of {trained} parameters are not traced yet"


def _states(setting: Setting) -> str:
    """Optimizers of torch keep states in the dtype of what is trained, those of bitsandbytes in 32 or 8 bit."""
    trained = _trained(setting)
    kept = dict.fromkeys((*TORCH_OPTIMIZERS - {"sgd"}, "galore_adamw"), trained)
    wanted = {**kept, **dict.fromkeys(OPTIMIZERS_32BIT, "fp32")}.get(setting.optimizer)
    if not setting.trains or wanted is None or setting.optimizer_states == wanted:
        return ""
    states = f"{setting.optimizer_states} states of {trained} parameters"
    return f"{states} are not traced yet: {setting.optimizer} keeps {wanted}"


def _on_parts(setting: Setting) -> str:
    """What a library does not run of parameters that are shared out, or does otherwise on a CPU than on a GPU."""
    return refusal_on_parts(setting) if setting.parallel.strategy == FSDP2 else ""


def _optimizer(setting: Setting) -> str:
    """What a library does not have of an optimizer, or is not run of it."""
    if setting.trains and setting.optimizer in ESTIMATED_ALONE:
        return f"the optimizer {setting.optimizer} is not traced yet"
    if setting.optimizer in GALORE and (setting.method != "full" or setting.galore is None):
        return f"{setting.optimizer} projects the gradients of whole matrices, and method {setting.method} has none"
    fused = setting.trains and setting.optimizer in NEVER_FUSED and setting.optimizer_implementation == "fused"
    return f"torch has no fused {setting.optimizer} for a GPU" if fused else ""


def _unmerged(setting: Setting) -> str:
    shared = not setting.trains and setting.lora is not None and setting.parallel.strategy in SHARES
    return "adapters beside split matrices are not traced yet" if shared else ""


def _validation(setting: Setting) -> str:
    if setting.validation is None:
        return ""
    what = next(unknown_validation(setting, setting.validation), "")
    return what and f"a validation {what} is not traced yet"


def _values(setting: Setting) -> str:
    return "adamss clusters the weights, whose values a trace does not have" if setting.method == "adamss" else ""


def _trained(setting: Setting) -> str | None:
    return setting.weights if setting.method == "full" else adapter_dtype(setting)


RULES: tuple[Callable[[Setting], str], ...] = (
    _trainer, _offload, _strategy, _weights, _master_weights, _loss, _result, _head, _kernels, _engine, _cache,
    _gradients, _states, _optimizer, _on_parts, _warmup, _loading, _sampling, _checkpoints, _objective, _in_backward,
    _offloaded, _unmerged, _validation, _values,
)  # fmt: skip
"""What is asked of a setting, in this order."""
