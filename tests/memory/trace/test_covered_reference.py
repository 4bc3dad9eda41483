"""Every value of every field, on a small model: it is traced, or refused as the list says."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from tests.memory.architecture.samples import facts_of
from tests.memory.trace.cut import cut
from toolkit.memory.trace.covered import RUN, Sample, models, samples
from toolkit.memory.trace.many.layers import whole_run
from toolkit.memory.trace.trace import UnsupportedTrace, trace

pytestmark = pytest.mark.reference

FIRST_WITH_ATTENTION = {
    "qwen3_next": 4,
    "qwen3_5": 4,
    "qwen3_5_moe": 4,
    "lfm2": 3,
    "granitemoehybrid": 6,
    "nemotron_h": 6,
}
"""Layers of models with linear attention, state spaces or convolutions, of which the last is of full attention."""
ANY_VALUE = ("torch_dtype", "dtype", "transformers_version", "use_cache")
"""Keys whose values choose no other code: loading takes the dtype that a setting names."""


@pytest.mark.parametrize("sample", list(samples()), ids=lambda sample: f"{sample.field}: {sample.value}")
def test_a_value_is_traced_or_refused_as_the_list_says(sample: Sample) -> None:
    setting = replace(sample.setting, sequence_length=16)
    model = cut(setting.model, setting.parallel.gpus if setting.parallel.schedule else 1)
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


def one_of_each_form() -> list[Sample]:
    """The first of the models whose configurations differ in sizes alone: the same code runs for all of them."""
    forms: dict[object, Sample] = {}
    for sample in models():
        config = facts_of(sample.value).config
        heads, pairs = config.get("num_attention_heads"), config.get("num_key_value_heads")
        said = {key: value for key, value in config.items() if isinstance(value, (bool, str)) and key not in ANY_VALUE}
        kinds = tuple(sorted(set(config.get("layer_types") or ())))
        grouped, windows = pairs not in (None, heads), config.get("sliding_window") is not None
        form = (*sorted(said.items()), grouped, windows, "head_dim" in config, kinds, sample.refusal)
        forms.setdefault(form, sample)
    return list(forms.values())


@pytest.mark.slow
@pytest.mark.parametrize("sample", one_of_each_form(), ids=lambda sample: sample.value)
def test_a_model_of_the_tables_is_traced_or_refused_as_the_list_says(sample: Sample) -> None:
    """A cache tells by the keys of full attention how long it is, so that a model needs such a layer."""
    model = cut(sample.value, FIRST_WITH_ATTENTION.get(str(facts_of(sample.value).config["model_type"]), 2))
    head = sample.setting.head
    generated = replace(RUN, model=sample.value, head=head, generated_length=2)
    for setting in (sample.setting, generated):
        if sample.refusal:
            with pytest.raises(UnsupportedTrace, match=re.escape(sample.refusal)):
                whole_run(replace(setting, sequence_length=64), model)
            continue
        try:
            whole_run(replace(setting, sequence_length=64), model)
        except UnsupportedTrace as refused:
            if "is not installed" in str(refused):
                pytest.skip(str(refused))
            raise
