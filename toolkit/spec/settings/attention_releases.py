"""Which attention a model of transformers takes where nobody asks for one, by the release."""

from __future__ import annotations

from collections.abc import Mapping

from packaging.version import Version

from toolkit.spec.settings.stack_rules import Versions, release

SDPA_FROM: Mapping[str, Version] = {
    **dict.fromkeys(("phi", "stablelm"), Version("4.40")),
    "bert": Version("4.41"),
    **dict.fromkeys(("gpt2", "gpt_neox"), Version("4.42")),
    **dict.fromkeys(
        ("albert", "biogpt", "camembert", "m2m_100", "mbart", "phi3", "roberta", "xlm-roberta"), Version("4.45")
    ),
    **dict.fromkeys(("distilbert", "opt"), Version("4.46")),
    "electra": Version("5"),
}
"""The first minor release whose modeling file says `_supports_sdpa = True`; from_pretrained then takes sdpa unasked.

Before, it takes eager attention (modeling_utils.py, _autoset_attn_implementation). Read in 4.38.2 and the last patch of
each minor release from 4.40 to 4.47, ELECTRA's in 4.57.1 and 5.0.0, too; types that are not here had it in the first of
these, or have it in none of 4.51.3, 4.57.1 and 5.12.0.
"""
LOADS = ("transformers", "trl", "plain")
"""Trainers that run transformers' own model."""


def usual_attention(model_type: str | None, trainer: str, versions: Versions) -> str:
    """The attention of a model of a type where a scenario leaves it open."""
    stated, since = release(versions, "transformers"), SDPA_FROM.get(model_type or "")
    old = stated is not None and since is not None and stated < since
    return "eager" if old and trainer in LOADS else "sdpa"
