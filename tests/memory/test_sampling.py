"""Tokens that are drawn: what sorting all scores takes, by arithmetic and by readings of a laptop's GPU."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.accuracy.build import PUBLISHED
from tests.memory.test_refusal import facts
from toolkit.accuracy.score import score
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.published import load_published
from toolkit.spec.settings.setting import Parallel, Setting, Stack

VOCABULARY = 151_936
DRAWN = ("logits", "logits_float32", "drawn_scores", "sorted_scores", "sort_scratch")
SETTING = Setting(
    "Qwen/Qwen2.5-0.5B", "inference", "fp16", compute="fp16", batch_size=8, sequence_length=58, generated_length=256
)


def of(setting: Setting) -> Estimate:
    return estimate(setting, facts(setting.model))


def rows(setting: Setting, phase: PhaseName) -> dict[str, int]:
    held = of(setting).ledger.phase(phase)
    assert held is not None
    return {row.name: row.bytes for row in held.rows if row.name in DRAWN}


def test_a_later_token_sorts_beside_the_scores_and_probabilities_of_the_one_before() -> None:
    """2 logits, 4 copied, 3 x 4 scores and probabilities, 4 + 8 sorted, and 2 pairs, keys twice and pairs to sort."""
    found = rows(replace(SETTING, sampling="top-p"), PhaseName.DECODE)
    entries = 8 * VOCABULARY
    assert found == dict(zip(DRAWN, (2 * entries, 4 * entries, 12 * entries, 12 * entries, 32 * entries), strict=True))


@pytest.mark.parametrize(("batch", "scratch"), [(1, 20), (2, 32), (127, 32), (128, 20)])
def test_torch_sorts_one_row_several_and_many_otherwise(batch: int, scratch: int) -> None:
    found = rows(replace(SETTING, batch_size=batch, sequence_length=2, sampling="top-p"), PhaseName.DECODE)
    assert found["sort_scratch"] == batch * VOCABULARY * scratch


def test_the_first_token_has_none_before() -> None:
    found = rows(replace(SETTING, generated_length=1, sampling="top-p"), PhaseName.PREFILL)
    assert sum(found.values()) == 8 * VOCABULARY * (62 - 8)


def test_without_top_p_nothing_is_sorted() -> None:
    alone = replace(SETTING, sequence_length=2, generated_length=2)
    found = rows(replace(alone, sampling="top-k"), PhaseName.DECODE)
    assert found == {
        "logits": 2 * 8 * VOCABULARY, "logits_float32": 4 * 8 * VOCABULARY, "drawn_scores": 17 * 8 * VOCABULARY
    }  # fmt: skip


def test_readings_that_grow_by_a_sort_are_met() -> None:
    """Up to 24 answers to 58 and 198 tokens, whose peaks are in the sort of the last of 256 tokens."""
    source, _ = load_published(PUBLISHED / "indic_tokenization_tax", PUBLISHED)
    assert source is not None
    found = [one for one in score([source], PUBLISHED).scored if not one.run.run.startswith("telugu")]
    assert len(found) == 16
    assert all(abs(one.read - one.estimated[1]) / one.read < 0.006 for one in found)


@pytest.mark.parametrize(
    "changed",
    [
        {"stack": Stack("transformers", versions={"transformers": "4.44.2"})},
        {"parallel": Parallel(2, "tensor")},
    ],
)
def test_other_loops_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(UnsupportedRow, match="sampled tokens"):
        of(replace(SETTING, sampling="top-p", **changed))  # type: ignore[arg-type]
