"""The rows of a ledger: one rule for each named cause of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from toolkit.memory.context import Context
from toolkit.memory.formula.inputs import position_embeddings, rotary_caches, token_ids
from toolkit.memory.formula.kv_cache import kv_cache
from toolkit.memory.formula.optimizer import optimizer_states, optimizer_temporary
from toolkit.memory.formula.weights import adapters, master_weights, rounding, upcast_parameters, weights
from toolkit.memory.formula.workspaces import cublas_workspace
from toolkit.memory.ledger import Category, PhaseName

LOAD, FORWARD, BACKWARD, STEP = PhaseName.LOAD, PhaseName.FORWARD_END, PhaseName.BACKWARD, PhaseName.OPTIMIZER_STEP
PREFILL, DECODE = PhaseName.PREFILL, PhaseName.DECODE
ALWAYS = (LOAD, FORWARD, BACKWARD, STEP, PREFILL, DECODE)
TRAINING = (FORWARD, BACKWARD, STEP)
PASSES = (FORWARD, BACKWARD, PREFILL, DECODE)


@dataclass(frozen=True, slots=True)
class RowRule:
    """How one row is worked out."""

    name: str
    category: Category
    phases: tuple[PhaseName, ...]
    formula: str
    source: str
    function: Callable[[Context, PhaseName], int]
    explanation: str = ""


def _moment(name: str) -> Callable[[Context, PhaseName], int]:
    def function(context: Context, phase: PhaseName) -> int:
        return context.at(phase, name)

    return function


def _alive(name: str, category: Category, phases: tuple[PhaseName, ...] = PASSES) -> RowRule:
    return RowRule(name, category, phases, "", "", _moment(name))


ROWS = (
    RowRule("weights", Category.WEIGHTS, ALWAYS, "", "", weights),
    RowRule("allocator_rounding", Category.TEMPORARY, ALWAYS, "", "", rounding),
    RowRule("rotary_caches", Category.WEIGHTS, ALWAYS, "", "", rotary_caches),
    RowRule("upcast_parameters", Category.WEIGHTS, TRAINING, "", "", upcast_parameters),
    RowRule("adapters", Category.ADAPTERS, TRAINING, "", "", adapters),
    RowRule("master_weights", Category.MASTER_WEIGHTS, TRAINING, "", "", master_weights),
    _alive("gradients", Category.GRADIENTS, TRAINING),
    _alive("new_gradient", Category.TEMPORARY),
    RowRule("optimizer_states", Category.OPTIMIZER_STATES, TRAINING, "", "", optimizer_states),
    RowRule("optimizer_temporary", Category.TEMPORARY, (STEP,), "", "", optimizer_temporary),
    RowRule("kv_cache", Category.KV_CACHE, (PREFILL, DECODE), "", "", kv_cache),
    RowRule("token_ids", Category.ACTIVATIONS, (*TRAINING, PREFILL, DECODE), "", "", token_ids),
    RowRule("position_embeddings", Category.ACTIVATIONS, PASSES, "", "", position_embeddings),
    _alive("kv_cache_growth", Category.TEMPORARY, (DECODE,)),
    *(
        _alive(name, Category.ACTIVATIONS)
        for name in (
            "layer_inputs",
            "residual_stream",
            "norm_states",
            "attention_states",
            "rotary_states",
            "attention_scores",
            "attention_output",
            "feed_forward_states",
            "expert_states",
            "router_states",
            "adapter_states",
            "cast_copies",
            "activation_gradients",
            "attention_backward",
        )
    ),
    _alive("autocast_copies", Category.TEMPORARY),
    _alive("dequantized_weight", Category.TEMPORARY),
    _alive("loss_weight_copy", Category.TEMPORARY),
    _alive("loss_hidden_states", Category.LOGITS),
    *(_alive(name, Category.LOGITS) for name in ("logits", "logits_float32", "log_probabilities", "logits_gradient")),
    RowRule("cublas_workspace", Category.WORKSPACE, (*TRAINING, PREFILL, DECODE), "", "", cublas_workspace),
)
