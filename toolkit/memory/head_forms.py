"""From a decoder and the dtypes of a run to the form of its end."""

from __future__ import annotations

from dataclasses import replace

from toolkit.memory.architecture.litgpt import FAMILY as LITGPT
from toolkit.memory.architecture.torchtune import HALVED, PAIRED
from toolkit.memory.builder import Builder
from toolkit.memory.formula.classification import ScoreForm
from toolkit.memory.formula.logits import HeadForm
from toolkit.memory.litgpt_forms import litgpt_head
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.torchtune_forms import torchtune_head


def head_form(build: Builder, loss: str) -> HeadForm | ScoreForm:
    """The form of the end of a decoder: a causal language model, or one that scores a sequence."""
    architecture = build.architecture
    if architecture.head == "sequence-classification":
        return _score_form(build)
    if architecture.head != "causal-lm":
        raise UnsupportedRow("logits", f"no formula for a {architecture.head} head yet")
    if architecture.family == LITGPT:
        return litgpt_head(build)
    if architecture.family in (PAIRED, HALVED):
        return torchtune_head(build, loss)
    projection = build.output_weight()
    return HeadForm(
        norm=build.norm(architecture.layers[0].norm),
        projection=projection,
        loss=loss,
        softcap=architecture.logit_softcap,
        upcasts_early=build.version.upcasts_early,
        shifts=build.version.shifts,
        own=build.version.own_head,
        scaled=build.layout.multiplied or build.layout.scales_logits,
    )


def _score_form(build: Builder) -> ScoreForm:
    """The final norm and the scores; peft trains a copy of the latter in their dtype."""
    n = build.numerics
    [module] = (m for m in build.architecture.modules if m.path == "score")
    form = replace(build.form_of(module), branch=None, storage="plain", dtype=n.head)
    if n.adapter is not None:
        form = replace(form, trains=True, gradient=n.head)
    return ScoreForm(build.norm(build.architecture.layers[0].norm), form)
