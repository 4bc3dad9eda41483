"""The form of a decoder's end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from toolkit.memory.architecture import ModuleKind
from toolkit.memory.architecture.heads import BASE
from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.architecture.megatron import FAMILY as MEGATRON
from toolkit.memory.architecture.nomic_bert import FAMILY as NOMIC
from toolkit.memory.architecture.torchtitan import REPEATED, SHARED
from toolkit.memory.architecture.torchtune import HALVED, PAIRED
from toolkit.memory.forms.both_ways import both_ways_head
from toolkit.memory.forms.builder import Builder
from toolkit.memory.forms.litgpt import litgpt_head
from toolkit.memory.forms.megatron import megatron_head
from toolkit.memory.forms.torchtitan import torchtitan_head
from toolkit.memory.forms.torchtune import torchtune_head
from toolkit.memory.formula.ends.classification import BodyForm, ScoreForm
from toolkit.memory.formula.ends.logits import HeadForm
from toolkit.memory.formula.ends.summed import SUM
from toolkit.memory.formula.follow import AnyHead
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.libraries.losses import TILES
from toolkit.memory.libraries.transformers_versions import FROM_LOGITS
from toolkit.memory.refusal import UnsupportedRow

NORMED_SUMS = ("opt", NOMIC)
"""Families of which some or all models normalize the last layer's sums instead of having a final norm."""
PROJECT_OUT = "decoder.project_out"
WHOLE = ("cross-entropy", FROM_LOGITS, SUM)
"""Losses on the logits of all tokens at once, as the model returns them."""
NEVER_TRAINED = "TRL refuses an adapter on the output layer: its loss reads the weight alone, so none would be trained"
OWN_ENDS: Mapping[str, Callable[[Builder], HeadForm]] = {
    LITGPT: litgpt_head,
    MEGATRON: megatron_head,
    REPEATED: torchtitan_head,
    SHARED: torchtitan_head,
}
"""The ends of models whose code is a trainer's own, with one loss."""


def head_form(build: Builder, loss: str, *, trains: bool) -> AnyHead:
    """The form of the end of a model whose layers are followed like a decoder's."""
    architecture = build.architecture
    if not architecture.is_decoder and architecture.head != BASE:
        return both_ways_head(build, loss)
    if architecture.head == "sequence-classification":
        return _score_form(build, loss)
    if architecture.head == BASE and not trains:
        return BodyForm(build.norm(architecture.layers[0].norm) if architecture.family not in NORMED_SUMS else None)
    if architecture.head != "causal-lm":
        raise UnsupportedRow("logits", f"no formula for a {architecture.head} head yet")
    if architecture.family in OWN_ENDS:
        return OWN_ENDS[architecture.family](build)
    if architecture.family in (PAIRED, HALVED):
        return torchtune_head(build, loss)
    projection, project = build.output_weight(), _projected(build, loss)
    if project is not None:
        projection = replace(projection, inputs=project.outputs)
    branch = _output_branch(build)
    if trains and branch is not None and loss in TILES:
        raise UnsupportedRow("adapters", NEVER_TRAINED)
    if not trains or loss in WHOLE:
        projection = replace(projection, branch=branch)
    return HeadForm(
        norm=build.norm(architecture.layers[0].norm, 2),
        projection=projection,
        loss=loss,
        softcap=architecture.logit_softcap,
        upcasts_early=build.version.upcasts_early,
        shifts=build.version.shifts,
        own=build.version.own_head,
        clones=build.version.clones_logits,
        scaled=build.layout.multiplied or build.layout.scales_logits,
        project=project,
        widens=build.numerics.widens_results,
    )


def _output_branch(build: Builder) -> Branch | None:
    """The adapter on the output layer, which all-linear leaves out."""
    heads = (module.path for module in build.architecture.modules if module.kind is ModuleKind.HEAD)
    return next((found for path in heads if (found := build.branch(path)) is not None), None)


def _projected(build: Builder, loss: str) -> LinearForm | None:
    """The linear to the width of the embeddings, where it differs from that of the layers (OPT 350M)."""
    found = next((m for m in build.architecture.modules if m.path.endswith(PROJECT_OUT)), None)
    if found is not None and loss not in WHOLE:
        raise UnsupportedRow("logits", f"no formula for the loss {loss!r} after a projection to the embeddings yet")
    return None if found is None else build.form_of(found)


def _score_form(build: Builder, loss: str) -> ScoreForm:
    """The final norm and the scores' linear; peft trains a copy of the latter in its dtype."""
    n = build.numerics
    [module] = (m for m in build.architecture.modules if m.path == "score")
    form = replace(build.form_of(module), branch=None, storage="plain", dtype=n.head)
    if n.adapter is not None:
        form = replace(form, trains=True, gradient=n.head)
    return ScoreForm(build.norm(build.architecture.layers[0].norm, 2), form, loss)
