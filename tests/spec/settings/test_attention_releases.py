"""Attention that nobody asks for: eager in releases of transformers that had no sdpa of a model yet."""

from __future__ import annotations

import pytest

from toolkit.spec.settings.attention_releases import usual_attention


@pytest.mark.parametrize(
    ("model_type", "trainer", "release", "attention"),
    [
        ("distilbert", "plain", "4.45.2", "eager"),  # modeling_distilbert.py has no DistilBertSdpaAttention
        ("distilbert", "plain", "4.46.3", "sdpa"),
        ("bert", "transformers", "4.40.2", "eager"),
        ("bert", "transformers", "4.41.2", "sdpa"),
        ("xlm-roberta", "transformers", "4.44.2", "eager"),
        ("phi3", "trl", "4.44.2", "eager"),  # PHI3_ATTENTION_CLASSES has one, _supports_sdpa is False
        ("llama", "transformers", "4.38.2", "sdpa"),
        ("electra", "transformers", "4.57.1", "eager"),  # its only attention writes scores out
        ("electra", "transformers", "5.0.0", "sdpa"),
        ("bert", "litgpt", "4.40.2", "sdpa"),  # runs code of its own
    ],
)
def test_a_release_that_has_no_sdpa_of_a_model_attends_eagerly(
    model_type: str, trainer: str, release: str, attention: str
) -> None:
    assert usual_attention(model_type, trainer, {"transformers": release}) == attention


def test_without_a_release_a_model_attends_by_sdpa() -> None:
    assert usual_attention("bert", "transformers", {}) == usual_attention(None, "transformers", {}) == "sdpa"
