"""What was read once a model was loaded: each figure as its source prints it, and whose reason lies in its own code."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from toolkit.accuracy.score import Scores, score
from toolkit.spec.published import load_published

PUBLISHED = Path(__file__).parents[2] / "specs" / "published"
MB = 1_000_000


@cache
def scored(source: str, path: str) -> Scores:
    """The runs of a source that one of its pages prints."""
    found, findings = load_published(PUBLISHED / source, PUBLISHED)
    assert found is not None
    assert not findings
    return score([replace(found, runs=[run for run in found.runs if run.path == path])], PUBLISHED)


@pytest.mark.parametrize("notebook", ["00-profile_lora_qlora", "00-profile_lora_qlora_hqq"])
def test_models_of_the_notebooks_are_what_they_print(notebook: str) -> None:
    """In MB of 10^6: bytes of the model, its tables, its ends of blocks, and cuBLAS's workspaces of cells before."""
    found = scored("fsdp_qlora", f"nbs/{notebook}.ipynb")
    read = [one for one in found.scored if one.reading.metric == "allocated_at_load"]
    assert len(read) >= 16
    for one in read:
        assert round(one.estimated[0] / MB) == round(one.read / MB), one.run.run
        assert one.complete


def test_what_a_model_keeps_of_a_pass_is_none_of_what_it_is_loaded_with() -> None:
    found = scored("fsdp_qlora", "nbs/00-profile_lora_qlora.ipynb")
    apart = [one for one in found.unscored if one.apart and one.reading.metric == "allocated_at_load"]
    assert [one.run.run.rsplit("-", 2)[1] for one in apart] == ["27"]
    assert "had run a pass over 512 tokens" in apart[0].reason


def test_encoders_that_lie_among_the_tensors_of_their_file() -> None:
    """DistilBERT, read by eager attention and by sdpa: 5 percent low where the file's tensors are left out."""
    found = scored("sdpa_benchmarks", "docs/source/en/model_doc/distilbert.md")
    read = [one for one in found.scored if one.run.scenario.method == "inference"]
    assert len(read) == 16
    assert all(abs(one.error) < 0.017 for one in read)


def test_grouped_heads_on_windows_are_attended_to_by_torchs_own_operations() -> None:
    """347 tokens: a prompt whose scores in float32 are the peak, which a fused kernel would not have."""
    found = scored("indic_tokenization_tax", "results/memory_wall_empirical.csv")
    read = [one for one in found.scored if one.run.run.startswith("telugu")]
    assert len(read) == 8
    assert all(abs(one.error) < 0.008 for one in read)
