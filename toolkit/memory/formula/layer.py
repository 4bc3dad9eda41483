"""One decoder layer: norms, attention and feed-forward around the residual stream."""

from __future__ import annotations

from toolkit.frozen import frozen
from toolkit.memory.formula.attention.attention import attend
from toolkit.memory.formula.attention.attention_form import AttentionForm
from toolkit.memory.formula.attention.latent import LatentForm, attend_latent
from toolkit.memory.formula.experts.every_expert import EveryExpertForm, every_expert
from toolkit.memory.formula.experts.gemma4_experts import BesideForm, feed_beside
from toolkit.memory.formula.experts.mixture import MixtureForm, mixture
from toolkit.memory.formula.families.own_inputs import OwnInputForm, with_own_input
from toolkit.memory.formula.feed_forward import FeedForwardForm, feed_forward
from toolkit.memory.formula.norms import NormForm, normalise
from toolkit.memory.formula.operations import Given, add, drop_out, letting_go, scale, scale_in_place
from toolkit.memory.formula.recurrence.gated_delta import DeltaForm, delta_net
from toolkit.memory.formula.recurrence.mamba import MambaForm, mamba
from toolkit.memory.formula.recurrence.mamba_beside import MambaBesideForm, mamba_beside
from toolkit.memory.formula.recurrence.selective_scan import SelectiveForm, selective
from toolkit.memory.formula.recurrence.short_convolution import ShortForm, short_convolution
from toolkit.memory.formula.trainers.litgpt import LitAttentionForm, attend_litgpt
from toolkit.memory.formula.trainers.torchtitan import TitanAttentionForm, attend_torchtitan
from toolkit.memory.formula.trainers.torchtune import TuneAttentionForm, attend_torchtune
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape

RESIDUAL = "residual_stream"


@frozen
class LayerForm:
    """A decoder layer. With `after` the results of attention and feed-forward are normalized (Gemma 2 and 3).

    With `parallel` attention and feed-forward have the same input, with one norm or, with `parallel_norms`, one each.
    `holds` is as in a layout. With `sums_first` attention's result is added to the stream before the parallel
    feed-forward runs. With `normed_sums` the sums are normalized (OPT 350M). With `multiplied` the results of attention
    and feed-forward are first multiplied by a number (Granite); with `scales_result` the layer's result is, in place
    (Gemma 4).
    """

    hidden: int
    attention: (
        AttentionForm
        | LatentForm
        | LitAttentionForm
        | TuneAttentionForm
        | TitanAttentionForm
        | DeltaForm
        | ShortForm
        | MambaForm
        | SelectiveForm
        | MambaBesideForm
    )
    feed_forward: FeedForwardForm | MixtureForm | EveryExpertForm
    norm: NormForm
    inner_norm: NormForm | None = None  # before the feed-forward, where it differs
    before: bool = True  # the inputs of attention and feed-forward are normalized
    after: bool = False
    parallel: bool = False
    parallel_norms: bool = False
    dropout: bool = False
    holds: str = "none"
    sums_first: bool = False
    multiplied: bool = False
    scales_result: bool = False
    beside: BesideForm | None = None  # experts beside the feed-forward (Gemma 4)
    own_input: OwnInputForm | None = None  # what is added from the layer's own input (Gemma 4)
    normed_sums: bool = False
    flattens: bool = False  # rows of all sequences are one matrix while the feed-forward runs (OPT)
    normed_before: bool = False  # attention's input is the result of the embeddings' norm (ModernBERT's first layer)


def layer(tape: Tape, x: Buffer, form: LayerForm) -> Buffer:
    """The layer's result; the caller keeps `x`."""
    result = (_parallel if form.parallel else _sequential)(tape, x, form)
    tape.drop(*tape.bound)
    tape.bound.clear()
    return result


def _sequential(tape: Tape, x: Buffer, form: LayerForm) -> Buffer:
    """X + attention(norm(x)) = y, then y + feed_forward(norm(y))."""
    normed = normalise(tape, x, form.norm) if form.before and not form.normed_before else x
    attended = _after(tape, _attended(tape, normed, form), form)
    if form.holds != "normed":
        _done_with(tape, normed, x)
    middle = _viewed(tape, _onto(tape, x, attended, form, named=form.holds != "none"), form)
    if form.holds == "none":
        tape.drop(attended)
    inner = normalise(tape, middle, form.inner_norm or form.norm) if form.before else middle
    fed = feed_beside(tape, inner, middle, form.beside) if form.beside else _feed(tape, inner, form)
    _done_with(tape, inner, middle)
    fed = _after(tape, fed, form)
    result = _viewed(tape, _onto(tape, middle, fed, form), form)
    tape.drop(fed, middle, attended)
    _done_with(tape, normed, x)
    if form.own_input is not None:
        result = letting_go(tape, result, with_own_input(tape, result, form.own_input))
    return scale_in_place(tape, result) if form.scales_result else result


def _viewed(tape: Tape, x: Buffer, form: LayerForm) -> Buffer:
    """A view with other dimensions, where there is one: its gradient shares its storage with that of the view."""

    def backward(tape: Tape, gradient: Buffer) -> Given:
        gradient.reshaped = True
        return [(x, tape.share(gradient, x))]

    return tape.node(x, backward) if form.flattens else x


def _done_with(tape: Tape, normed: Buffer, x: Buffer) -> None:
    """Drop the normalized tensor, unless it is the tensor it was made from."""
    if normed is not x:
        tape.drop(normed)


def _onto(tape: Tape, x: Buffer, branch: Buffer, form: LayerForm, *, named: bool = False) -> Buffer:
    """The sum of the stream and a branch, or a multiple of the branch, which stays named while it is added.

    Where the sum is normalized it takes that name first, unless the branch is `named` to the end of the layer.
    """
    if form.normed_sums:
        total = add(tape, x, branch, RESIDUAL)
        if not named:
            tape.drop(branch)
        return letting_go(tape, total, normalise(tape, total, form.norm))
    if not form.multiplied:
        return add(tape, x, branch, RESIDUAL)
    multiple = scale(tape, branch, RESIDUAL, constants=0)
    result = add(tape, x, multiple, RESIDUAL)
    tape.drop(multiple)
    return result


def _attended(tape: Tape, x: Buffer, form: LayerForm) -> Buffer:
    part = form.attention
    if isinstance(part, LitAttentionForm):
        return attend_litgpt(tape, x, part)
    if isinstance(part, TuneAttentionForm):
        return attend_torchtune(tape, x, part)
    if isinstance(part, TitanAttentionForm):
        return attend_torchtitan(tape, x, part)
    if isinstance(part, DeltaForm):
        return delta_net(tape, x, part)
    if isinstance(part, ShortForm):
        return short_convolution(tape, x, part)
    if isinstance(part, MambaForm):
        return mamba(tape, x, part)
    if isinstance(part, SelectiveForm):
        return selective(tape, x, part)
    if isinstance(part, MambaBesideForm):
        return mamba_beside(tape, x, part)
    return attend_latent(tape, x, part) if isinstance(part, LatentForm) else attend(tape, x, part)


def _feed(tape: Tape, x: Buffer, form: LayerForm) -> Buffer:
    part = form.feed_forward
    if isinstance(part, EveryExpertForm):
        return every_expert(tape, x, part)
    return mixture(tape, x, part) if isinstance(part, MixtureForm) else feed_forward(tape, x, part)


def _after(tape: Tape, branch: Buffer, form: LayerForm) -> Buffer:
    """The norm and scaling of attention's or the feed-forward's result before it is added to the stream."""
    if form.after:
        branch = letting_go(tape, branch, normalise(tape, branch, form.norm))
    return _dropped_out(tape, branch, form)


def _dropped_out(tape: Tape, x: Buffer, form: LayerForm) -> Buffer:
    return letting_go(tape, x, drop_out(tape, x, RESIDUAL)) if form.dropout else x


def _parallel(tape: Tape, x: Buffer, form: LayerForm) -> Buffer:
    """X + attention(norm(x)) + feed_forward(norm(x)), the branches first."""
    normed = normalise(tape, x, form.norm)
    attended = _attended(tape, normed, form)
    if form.parallel_norms:
        tape.drop(normed)
        normed = normalise(tape, x, form.norm)
    attended = _dropped_out(tape, attended, form)
    if form.sums_first:
        return _onto_sum(tape, x, attended, normed, form)
    fed = _feed(tape, normed, form)
    if form.parallel_norms:  # the norm's result is named by the function that gets it alone
        tape.drop(normed)
    fed = _dropped_out(tape, fed, form)
    branches = add(tape, attended, fed, RESIDUAL)
    total = add(tape, branches, x, RESIDUAL)
    tape.drop(branches, normed, attended, fed)
    return total


def _onto_sum(tape: Tape, x: Buffer, attended: Buffer, normed: Buffer, form: LayerForm) -> Buffer:
    """The same where attention's result is added to the stream before the feed-forward runs."""
    middle = add(tape, attended, x, RESIDUAL)
    fed = _feed(tape, normed, form)
    tape.drop(normed)
    total = add(tape, fed, middle, RESIDUAL)
    tape.drop(fed, middle, attended)
    return total
