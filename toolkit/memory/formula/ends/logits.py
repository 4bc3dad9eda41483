"""From the last layer's result to the loss or the next token: final norm, output projection, logits."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.linear.linear import linear
from toolkit.memory.formula.linear.linear_form import LinearForm
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, cast, letting_go, part_of, resized, scale
from toolkit.memory.formula.trainers.triton_kernels import fast_cross_entropy
from toolkit.memory.libraries.transformers_versions import FROM_LOGITS
from toolkit.memory.size import BYTES, Size
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

LOGITS = "logits"
FLOAT = "logits_float32"
PROBABILITIES = "log_probabilities"
GRADIENT = "logits_gradient"
LABELS = "token_ids"
IN_PLACE = "in-place"
NAMED = "named"
"""The model's own loss from labels, in a loop that keeps each output until the next."""


@frozen
class HeadForm:
    """The end of a causal language model, and how the loss copies the logits.

    `upcasts_early` and `shifts` are what older versions of transformers did (transformers_versions): they shift by
    "copies", or by "views" where no copy is needed, as in a batch of one. `loss` is the name of an implementation.
    `softcap` bounds the logits by tanh (Gemma 2); `scaled` divides them by a number (Granite). With `project` there is
    no norm, but a linear to the width of the embeddings. `own` code (Qwen 1) computes the logits of all tokens, and the
    loss in their dtype unless autocast uses float32; so does a loop that passes no labels. Where the model returns
    16-bit logits, its trainer `widens` them to float32. A loop may keep the model's output: it is `held` until the next
    "step" is done, or until the "next" output is there. With `evaluates` the loss is computed without gradients.
    generate() `clones` all logits in some releases; where each pass makes all `anew`, because there is no cache, the
    view of the previous float32 clone is still there. The input may be `normed` already, on another GPU.
    """

    norm: NormForm
    projection: LinearForm
    loss: str = "cross-entropy"
    softcap: bool = False
    upcasts_early: bool = False
    shifts: str = ""
    own: bool = False
    scaled: bool = False
    project: LinearForm | None = None
    widens: bool = False
    held: str = ""
    evaluates: bool = False
    clones: bool = False
    anew: bool = False
    normed: bool = False


@frozen
class NormEndForm:
    """The part of an end whose logits are made on another GPU: the norm after the last layer."""

    norm: NormForm
    loss: str = ""


def before_logits(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """The input of the output layer: the normalized stream, or a projected one where there is no norm (OPT 350M)."""
    if form.normed:
        return x
    result = normalise(tape, x, form.norm) if form.project is None else linear(tape, x, form.project, LOGITS)
    tape.drop(x)
    tape.model_returns()
    return result


def whole_loss(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """Transformers' ForCausalLMLoss: the logits of all tokens at once, which stay until the model's forward returns."""
    normed = before_logits(tape, x, form)
    logits = linear(tape, normed, form.projection, LOGITS)
    if form.normed:  # a copy that the hook alone has a name for
        tape.drop(normed)
    if form.own:
        return _own_loss(tape, normed, _handed_out(tape, logits, form), form)
    capped = formed(tape, logits, form)
    floats = cast(tape, capped, "fp32", FLOAT)
    tape.gives(floats if form.upcasts_early else capped)
    if form.upcasts_early and floats is not capped:
        tape.drop(capped)
    if form.loss == NAMED or form.held:
        tape.pin(floats if form.upcasts_early else capped)
    labels = tape.new(LABELS, 2, "int64")  # padded by one, then shifted into a contiguous copy
    source = _shifted(tape, floats, form.shifts) if form.shifts else floats
    result = (fast_cross_entropy if form.loss == IN_PLACE else cross_entropy)(tape, source)
    tape.drop(normed, source, floats, labels)
    let_go_of_result(tape, capped, widens=form.widens and capped is not floats and not form.upcasts_early)
    return result


def formed(tape: Tape, logits: Buffer, form: HeadForm) -> Buffer:
    """The logits after a softcap or a division by a number, where the model has one."""
    capped = _capped(tape, logits) if form.softcap else logits
    return letting_go(tape, logits, scale(tape, logits, LOGITS, constants=0)) if form.scaled else capped


def _handed_out(tape: Tape, logits: Buffer, form: HeadForm) -> Buffer:
    """The logits that the model returns to a loop, which computes the loss from them."""
    capped = formed(tape, logits, form)
    return letting_go(tape, capped, cast(tape, capped, "fp32", FLOAT)) if form.upcasts_early else capped


def _own_loss(tape: Tape, normed: Buffer, logits: Buffer, form: HeadForm) -> Buffer:
    """CrossEntropyLoss on a shifted copy of the logits, which stay until the model's forward returns.

    A loop that computes it from the model's output holds only the logits: the model's own references are gone by then.
    """
    tape.gives(logits)
    if form.loss == FROM_LOGITS:
        tape.drop(normed)
    if form.loss == NAMED or form.held:
        tape.pin(logits)
    shifted = _shifted(tape, logits, form.shifts)
    if form.loss == IN_PLACE:  # autocast does not know it; accelerate casts the model's output to float32
        result = fast_cross_entropy(tape, shifted)
        with tape.temporary(FLOAT, resized(logits, "fp32") if form.projection.autocast else Size()):
            pass
        tape.drop(shifted, normed, logits)
        return result
    result = cross_entropy(tape, shifted, widens=form.projection.autocast is not None)
    tape.drop(shifted, *(() if form.loss == FROM_LOGITS else (normed,)))
    let_go_of_result(tape, logits, widens=form.widens)
    return result


def let_go_of_result(tape: Tape, logits: Buffer, *, widens: bool) -> None:
    """Drops the model's output; accelerate, where it `widens` 16-bit results, makes a float32 copy first."""
    if widens and logits.dtype != "fp32":
        with tape.temporary(FLOAT, resized(logits, "fp32")):
            tape.drop(logits)
        return
    tape.drop(logits)


def _capped(tape: Tape, logits: Buffer) -> Buffer:
    """C * tanh(logits / c): the quotient and the product save constants, tanh saves its result."""
    quotient = scale(tape, logits, LOGITS)
    tape.drop(logits)
    squashed = tape.new(LOGITS, quotient.width, quotient.dtype, grad=quotient.grad, size=quotient.size)

    def backward(tape: Tape, _: Buffer) -> Given:
        return [(quotient, tape.gradient(quotient))]

    tape.node(squashed, backward, tape.save(squashed) if quotient.grad else ())
    tape.drop(quotient)
    capped = scale(tape, squashed, LOGITS)
    tape.drop(squashed)
    return capped


def _shifted(tape: Tape, x: Buffer, how: str) -> Buffer:
    """logits[:, :-1].contiguous(); its gradient is put back into a tensor of all positions."""
    return part_of(tape, x, x.width, copies=how == "copies")


def cross_entropy(tape: Tape, x: Buffer, *, widens: bool = False) -> Buffer:
    """log_softmax (saved) and nll_loss: backward makes two gradients of the size of the logits, in their dtype.

    Autocast `widens` only the second: cross_entropy_loss, which it does not know, passes the dtype of the logits to
    log_softmax explicitly, and autocast respects an explicit dtype. nll_loss makes and saves a float32 copy
    (aten/src/ATen/native/LossNLL.cpp, cross_entropy_loss; ATen/autocast_mode.h, AT_FORALL_FP32, set_opt_dtype).
    """
    probabilities = tape.new(PROBABILITIES, x.width, x.dtype, grad=True, size=x.size)

    def softmax_backward(tape: Tape, _: Buffer) -> Given:
        return [(x, tape.gradient(x))]

    tape.node(probabilities, softmax_backward, tape.save(probabilities))
    taken = cast(tape, probabilities, "fp32", PROBABILITIES) if widens else probabilities
    result = tape.new(PROBABILITIES, 0, "fp32", grad=True)

    def loss_backward(tape: Tape, _: Buffer) -> Given:
        return [(taken, tape.gradient(taken))]

    tape.node(result, loss_backward, tape.save(taken))
    tape.drop(taken, probabilities)
    return result


def _given(tape: Tape, x: Buffer, form: HeadForm) -> Buffer:
    """The logits that a model returns to generate(): of all tokens, or of the last one of each sequence."""
    projection = form.projection
    every = form.upcasts_early or form.own
    if projection.branch is not None:
        last = Size(sequence=x.width * BYTES[x.dtype])
        view = Buffer(LOGITS, last, x.width, x.dtype, grad=False, held=False, counted=False, base=x)
        return linear(tape, x if every else view, projection, LOGITS)
    size = projection.outputs * BYTES[projection.dtype]
    return tape.new(LOGITS, projection.outputs, projection.dtype, size=None if every else Size(sequence=size))


def last_logits(tape: Tape, x: Buffer, form: HeadForm) -> None:
    """The logits of the next token, and their float32 copy, while the model's output is still held.

    Where the version of transformers `upcasts_early`, the logits of the whole prompt, all in float32; with `own` code
    those of the whole prompt in their dtype.
    """
    normed = before_logits(tape, x, form)
    width = form.projection.outputs
    logits = _given(tape, normed, form)
    if form.upcasts_early:
        floats = tape.new(FLOAT, width, "fp32")
        tape.drop(logits)
    elif form.own:
        floats = formed(tape, logits, form)
    else:
        floats = tape.new(FLOAT, 0, "fp32", size=Size(sequence=width * BYTES["fp32"]))
    tape.drop(normed)
    if form.clones and (form.own or form.upcasts_early):
        views = floats.dtype == "fp32"
        for _ in range(2 if views and form.anew else 1):
            tape.new(LOGITS, width, floats.dtype)
        if not views:
            tape.new(FLOAT, 0, "fp32", size=Size(sequence=width * BYTES["fp32"]))
    tape.drop(floats)
