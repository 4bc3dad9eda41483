"""A gated delta net: projections, a short convolution, the delta rule, and a norm that is gated.

Source: transformers 5.23 modeling_qwen3_next.py and modeling_qwen3_5.py, Qwen3NextGatedDeltaNet, Qwen3_5GatedDeltaNet.
"""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.arrays import INPUT, RESULT, apply, per_token, times
from toolkit.memory.formula.caches.cached import READS
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm
from toolkit.memory.formula.operations import Given, cast, split
from toolkit.memory.formula.recurrence.convolution import ConvolutionForm, convolve
from toolkit.memory.formula.recurrence.delta_pieces import delta_step
from toolkit.memory.formula.recurrence.delta_rule import delta_rule
from toolkit.memory.formula.recurrence.fla_delta_rule import fla_delta_rule, fla_step
from toolkit.memory.formula.recurrence.gated_norm import gated_norm
from toolkit.memory.formula.recurrence.rule_form import ROW, RuleForm
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

Buffers = tuple[Buffer, ...]


@frozen
class DeltaForm:
    """A gated delta net as a tape needs it.

    `inward` are the projections: of queries, keys and values, of the gate, of b and of a; or of all these but b and a,
    and of b and a. `dtype` is that of its own parameters.
    """

    inward: tuple[LinearForm, ...]
    output: LinearForm
    convolution: ConvolutionForm
    rule: RuleForm
    norm: NormForm
    dtype: str
    trains: bool
    fused: bool = False


def delta_net(tape: Tape, x: Buffer, form: DeltaForm) -> Buffer:
    """The net's result; the caller keeps `x`."""
    net = form.rule.net
    mixed, gate, beta_logit, rate, whole, copies = _projected(tape, x, form)
    convolved = convolve(tape, mixed, form.convolution)
    tape.drop(*copies)
    query, key, value = split(tape, convolved, (net.keys, net.keys, net.values))
    beta = apply(tape, beta_logit, ROW, RESULT)
    decay = _decay(tape, rate, form)
    if tape.cache == READS:
        (fla_step if form.fused else delta_step)(tape, form.rule)
        read = tape.new(ROW, net.values, value.dtype, size=per_token(net.values, value.dtype))
    else:
        read = (fla_delta_rule if form.fused else delta_rule)(tape, query, key, value, decay, beta, form.rule)
    normed = gated_norm(tape, read, gate, form.norm, net.value_heads)
    result = linear(tape, normed, form.output, ROW)
    tape.drop(normed, convolved, gate, beta_logit, rate, beta, decay, *whole)
    return result


def _projected(tape: Tape, x: Buffer, form: DeltaForm) -> tuple[Buffer, Buffer, Buffer, Buffer, Buffers, Buffers]:
    """The convolution's input, the gate, b and a; what stays named to the end, and what until it is convolved."""
    net = form.rule.net
    if len(form.inward) == 4:
        mixed, gate, beta, rate = (linear(tape, x, one, ROW) for one in form.inward)
        return mixed, gate, beta, rate, (), ()
    both, rates = (linear(tape, x, one, ROW) for one in form.inward)
    query, key, value, gate = split(tape, both, (net.keys, net.keys, net.values, net.values))
    beta, rate = split(tape, rates, (net.value_heads, net.value_heads))
    beta, rate = (_gathered(tape, (one,), net.value_heads) for one in (beta, rate))
    value, gate, query, key = (_gathered(tape, (one,), one.width) for one in (value, gate, query, key))
    mixed = _gathered(tape, (query, key, value), net.convolved)
    return mixed, gate, beta, rate, (both, rates), (query, key, value)


def _gathered(tape: Tape, parts: tuple[Buffer, ...], width: int) -> Buffer:
    """Parts concatenated in a new tensor; their gradients are views of its gradient."""
    first = parts[0]
    result = tape.new(ROW, width, first.dtype, grad=first.grad, size=per_token(width, first.dtype))

    def backward(tape: Tape, gradient: Buffer) -> Given:
        return [(part, tape.handed(gradient)) for part in parts]

    return tape.node(result, backward)


def _decay(tape: Tape, rate: Buffer, form: DeltaForm) -> Buffer:
    """-exp(A_log) * softplus(a + dt_bias), in float32; saves the sum, and the softplus where A_log is trained."""
    wide = cast(tape, rate, "fp32", ROW)
    total = apply(tape, wide, ROW)
    if wide is not rate:
        tape.drop(wide)
    soft = apply(tape, total, ROW, INPUT)
    tape.drop(total)
    weight = tape.new(ROW, 0, "fp32", grad=form.trains, size=Size(fixed=form.rule.net.value_heads * BYTES["fp32"]))
    result = times(tape, soft, weight, ROW)
    tape.drop(soft, weight)
    return result
