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
from toolkit.memory.formula.operations import add, drop_out, letting_go, scale, scale_in_place
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
    """A decoder layer. `after` are norms on the results of attention and feed-forward (Gemma 2 and 3).

    `parallel` puts attention and feed-forward side by side, with one norm or, with `parallel_norms`, one each;
    `holds` as in a layout. `sums_first` adds attention's result to the stream before the feed-forward beside it runs.
    With `normed_sums` the norms are on the sums (OPT 350M).
    With `multiplied` the results of attention and feed-forward are multiplied by a number first (Granite), with
    `scales_result` that of the layer, in place (Gemma 4).
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
    inner_norm: NormForm | None = None  # before the feed-forward, where that is another
    before: bool = True  # norms on what attention and feed-forward are given
    after: bool = False
    parallel: bool = False
    parallel_norms: bool = False
    dropout: bool = False
    holds: str = "none"
    sums_first: bool = False
    multiplied: bool = False
    scales_result: bool = False
    beside: BesideForm | None = None  # experts beside the feed-forward (Gemma 4)
    own_input: OwnInputForm | None = None  # what is added of an input of its own (Gemma 4)
    normed_sums: bool = False
    normed_before: bool = False  # attention is given what the embeddings' norm gave (ModernBERT's first layer)


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
    middle = _onto(tape, x, attended, form, named=form.holds != "none")
    if form.holds == "none":
        tape.drop(attended)
    inner = normalise(tape, middle, form.inner_norm or form.norm) if form.before else middle
    fed = feed_beside(tape, inner, middle, form.beside) if form.beside else _feed(tape, inner, form)
    _done_with(tape, inner, middle)
    fed = _after(tape, fed, form)
    result = _onto(tape, middle, fed, form)
    tape.drop(fed, middle, attended)
    _done_with(tape, normed, x)
    if form.own_input is not None:
        result = letting_go(tape, result, with_own_input(tape, result, form.own_input))
    return scale_in_place(tape, result) if form.scales_result else result


def _done_with(tape: Tape, normed: Buffer, x: Buffer) -> None:
    """Let go of what was normed, where that is not what it was normed from."""
    if normed is not x:
        tape.drop(normed)


def _onto(tape: Tape, x: Buffer, branch: Buffer, form: LayerForm, *, named: bool = False) -> Buffer:
    """The sum of the stream and of a branch, or of a number's multiple of it: the branch has its name meanwhile.

    Where the sum is normed it takes that name first, unless the branch is `named` to the end of the layer.
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
    """What the result of attention or feed-forward passes through before it is added to the stream."""
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
    fed = _dropped_out(tape, _feed(tape, normed, form), form)
    tape.drop(normed)
    branches = add(tape, attended, fed, RESIDUAL)
    tape.drop(attended, fed)
    total = add(tape, branches, x, RESIDUAL)
    tape.drop(branches)
    return total


def _onto_sum(tape: Tape, x: Buffer, attended: Buffer, normed: Buffer, form: LayerForm) -> Buffer:
    """The same where the stream and attention have been added up before the feed-forward runs."""
    middle = add(tape, attended, x, RESIDUAL)
    fed = _feed(tape, normed, form)
    tape.drop(normed)
    total = add(tape, fed, middle, RESIDUAL)
    tape.drop(fed, middle, attended)
    return total
