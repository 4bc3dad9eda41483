"""What every fused attention kernel keeps, and what its backward makes."""

from __future__ import annotations

from toolkit.memory.buffer import Buffer
from toolkit.memory.formula.attention_form import KERNEL, OUTPUT, AttentionForm
from toolkit.memory.formula.operations import Given
from toolkit.memory.size import Size
from toolkit.memory.tape import Tape


def attended(
    tape: Tape, states: tuple[Buffer, ...], form: AttentionForm, working: Size, beside: tuple[Buffer, ...] = ()
) -> Buffer:
    """The result of a kernel that saves q, k, v, what stands beside them, its result and a float32 log-sum-exp.

    Its backward needs `working` besides the gradients of the states, whose first are the queries. It makes all of them,
    and those that nothing asked for go at once.
    """
    needs = any(part.grad for part in states)
    result = tape.new(OUTPUT, form.query_heads * form.value_head_dim, states[0].dtype, grad=needs)
    log_sums = tape.new(OUTPUT, form.query_heads, "fp32")
    saved = tape.save(*states, *beside, result, log_sums) if needs else ()

    def backward(tape: Tape, _: Buffer) -> Given:
        with tape.temporary(KERNEL, working):
            given = [(part, tape.gradient(part)) for part in states]
        for part, gradient in given:
            if not part.grad:
                tape.discard(gradient)
        return [(part, gradient) for part, gradient in given if part.grad]

    tape.node(result, backward, saved)
    tape.drop(log_sums)
    return result
