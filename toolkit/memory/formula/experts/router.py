"""Routers: the experts that a token passes through, and the weights of their results.

Sources: transformers 5.23 modeling_mixtral.py, MixtralTopKRouter; modeling_granitemoe.py, GraniteMoeTopKRouter;
modeling_deepseek_v3.py, DeepseekV3TopkRouter (sigmoid); modeling_mistral4.py, Mistral4TopkRouter (softmax);
modeling_gpt_oss.py, GptOssTopKRouter.
"""

from __future__ import annotations

from toolkit.memory.formula.arrays import RESULT, apply
from toolkit.memory.formula.experts.expert_adapters import merged_linear
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.operations import Given, cast, letting_go
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

ROUTER = "router_states"


FLOAT_SOFTMAX, CAST_SOFTMAX, SOFTMAX, SIGMOID = "float32 softmax", "cast softmax", "softmax", "sigmoid"
FLOAT_OF_CHOSEN, OF_CHOSEN = "float32 softmax of the chosen", "softmax of the chosen"
"""How logits become weights: in float32, which the second casts back to the dtype of the logits; or in that dtype,
which autocast casts to float32 only for a softmax; or of the chosen logits alone, in float32 or in their own dtype."""


def routes(tape: Tape, x: Buffer, router: LinearForm, chosen: int, by: str, dtype: str | None) -> Buffer:
    """Logits over the experts, their weights (saved), and those of the chosen ones (their indices are saved)."""
    if by in (FLOAT_OF_CHOSEN, OF_CHOSEN):
        return _of_chosen(tape, x, router, chosen, "fp32" if by == FLOAT_OF_CHOSEN else None)
    widens = by in (FLOAT_SOFTMAX, CAST_SOFTMAX) or (by == SOFTMAX and router.autocast is not None)
    logits, given = _logits(tape, x, router, "fp32" if widens else None)
    probabilities = apply(tape, given, ROUTER, RESULT)
    if given is not logits:
        tape.drop(given)
    tape.drop(logits)
    own = logits.dtype if by == CAST_SOFTMAX else probabilities.dtype
    index = tape.new(ROUTER, chosen, "int64")
    weights = tape.new(ROUTER, chosen, dtype or own, grad=x.grad)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(probabilities, tape.gradient(probabilities))]

    tape.node(weights, backward, tape.save(index) if x.grad else ())
    tape.drop(probabilities, index)
    return weights


def _of_chosen(tape: Tape, x: Buffer, router: LinearForm, chosen: int, dtype: str | None) -> Buffer:
    """The largest logits (their indices are saved), their softmax (saved), and its cast to the dtype of x.

    The logits stay referenced to the end of the feed-forward, as part of the router's result.
    """
    logits, wide = _logits(tape, x, router, dtype)
    if wide is not logits:
        tape.drop(logits)
    index = tape.new(ROUTER, chosen, "int64")
    largest = tape.new(ROUTER, chosen, wide.dtype, grad=wide.grad)
    tape.bound += [wide, index]

    def to_logits(tape: Tape, _: Buffer) -> Given:
        return [(wide, tape.gradient(wide))]

    tape.node(largest, to_logits, tape.save(index) if wide.grad else ())
    shares = tape.new(ROUTER, chosen, wide.dtype, grad=wide.grad)

    def to_largest(tape: Tape, _: Buffer) -> Given:
        return [(largest, tape.gradient(largest))]

    tape.node(shares, to_largest, tape.save(shares) if wide.grad else ())
    tape.drop(largest)
    return letting_go(tape, shares, cast(tape, shares, x.dtype, ROUTER))


def _logits(tape: Tape, x: Buffer, router: LinearForm, dtype: str | None) -> tuple[Buffer, Buffer]:
    """As they are, and in a dtype."""
    branch = router.branch if router.bare else None
    logits = linear(tape, x, router, ROUTER) if branch is None else merged_linear(tape, x, router, branch, ROUTER)
    return logits, cast(tape, logits, dtype or logits.dtype, ROUTER)
