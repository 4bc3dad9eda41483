"""No peak falls as a count grows, but at the turns: what the search for the largest that fits rests on."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks.questions.asked import BASE, scenario
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.situations import situation_of
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.libraries.turns import turns
from toolkit.spec.settings.setting import Setting

MODELS = ("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-7B", "microsoft/phi-2", "mistralai/Mixtral-8x7B-v0.1", "google/gemma-2-2b")
TRAINING = (("full", "fp32"), ("full", "bf16"), ("lora", "bf16"), ("lora", "int8"), ("qlora", "nf4"))
HELD = ("bf16", "nf4", "int8", "awq-int4", "gptq-int8")


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, str]:
    """Fields of a scenario, all of which move the shape of its memory."""
    fields = {
        "model": draw(st.sampled_from(MODELS)),
        "attention": draw(st.sampled_from(("sdpa", "eager", "flash"))),
        "stack__transformers": draw(st.sampled_from(("4.44", "5.23"))),
    }
    if draw(st.booleans()):
        fields |= {"method": "inference", "weights": draw(st.sampled_from(HELD)), "generated_length": "64"}
    else:
        method, weights = draw(st.sampled_from(TRAINING))
        trainer, loss = draw(
            st.sampled_from((("transformers", "cross-entropy"), ("transformers", "fused"), ("trl", "chunked")))
        )
        fields |= {
            "method": method, "weights": weights, "stack__trainer": trainer, "stack__loss": loss,
            "gradient_checkpointing": draw(st.sampled_from(("false", "reentrant", "non-reentrant"))),
            "amp": draw(st.sampled_from(("true", "false"))),
        }  # fmt: skip
    return fields


def peaks(found: Estimate) -> tuple[int, ...]:
    return found.allocated, *found.reserved, *found.device


def with_count(setting: Setting, name: str, value: int) -> Setting | None:
    if name != "lora.rank":
        return replace(setting, **{name: value})
    return replace(setting, lora=replace(setting.lora, rank=value)) if setting.lora else None


@settings(max_examples=60, deadline=None)
@given(
    scenarios(),
    st.sampled_from(("batch_size", "sequence_length", "generated_length", "lora.rank")),
    st.integers(1, 3_000),
    st.integers(1, 3_000),
    st.sampled_from((1, 2, 7)),
    st.sampled_from((96, 511)),
)
def test_no_peak_falls_between_turns(
    fields: dict[str, str], name: str, one: int, other: int, batch: int, length: int
) -> None:
    found = situation_of(scenario(**fields), BASE)
    assert found is not None
    setting = replace(found.setting(), batch_size=batch, sequence_length=length)
    low, high = sorted((one, other))
    smaller, larger = with_count(setting, name, low), with_count(setting, name, high)
    if smaller is None or larger is None or any(low < turn <= high for turn in turns(setting, name)):
        return
    try:
        before, after = estimate(smaller, found.facts), estimate(larger, found.facts)
    except REFUSALS:
        return
    assert all(less <= more for less, more in zip(peaks(before), peaks(after), strict=True))
