"""Every value of every field, on a small model: it is traced, or refused as the list says."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.test_covered import LINEAR_ATTENTION
from tests.memory.trace.cut import cut
from toolkit.memory.trace.covered import RUN, Sample, models, samples
from toolkit.memory.trace.layers import whole_run
from toolkit.memory.trace.trace import UnsupportedTrace, trace

pytestmark = pytest.mark.reference


@pytest.mark.parametrize("sample", list(samples()), ids=lambda sample: f"{sample.field}: {sample.value}")
def test_a_value_is_traced_or_refused_as_the_list_says(sample: Sample) -> None:
    setting = replace(sample.setting, sequence_length=16)
    model = cut(setting.model, 1)
    if sample.refusal:
        with pytest.raises(UnsupportedTrace) as refused:
            trace(setting, model)
        assert str(refused.value) == sample.refusal
        return
    try:
        found = trace(setting, model, whole=True)
    except UnsupportedTrace as refused:
        if "is not installed" in str(refused) or "this release of" in str(refused):
            pytest.skip(str(refused))
        raise
    assert found.allocated > 0
    assert found.ledger.peak.moment
    assert sum(row.bytes for row in found.ledger.peak.rows) == found.allocated


@pytest.mark.slow
@pytest.mark.parametrize("sample", list(models()), ids=lambda sample: sample.value)
def test_a_model_of_the_tables_is_traced_or_refused_as_the_list_says(sample: Sample) -> None:
    """Of those with linear attention the fourth layer is the first of full attention, and prompts alone are traced."""
    linear = sample.value in LINEAR_ATTENTION
    model = cut(sample.value, 4 if linear else 2)
    head = sample.setting.head
    generated = replace(RUN, model=sample.value, head=head, generated_length=1 if linear else 2)
    for setting in (sample.setting, generated):
        if sample.refusal:
            with pytest.raises(UnsupportedTrace, match=re.escape(sample.refusal)):
                whole_run(replace(setting, sequence_length=64), model)
        else:
            whole_run(replace(setting, sequence_length=64), model)
