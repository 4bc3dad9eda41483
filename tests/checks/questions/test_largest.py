"""The largest value that fits: by hand where arithmetic gives it, else by what fits there and one beyond."""

from fractions import Fraction

import pytest

from tests.checks.questions.asked import BASE, answered, card, decided, scenario
from toolkit.checks.questions.largest import Solution, largest
from toolkit.facts.accuracy import known_error
from toolkit.facts.gpus import gpus
from toolkit.finding import Place
from toolkit.report.largest import largest_text
from toolkit.spec.fields.value import Field, Fixed
from toolkit.spec.scenario import Scenario

CASES: list[tuple[Scenario, str, str]] = [
    (decided(), "batch_size", "RTX 4090"),
    (decided(), "sequence_length", "RTX 3060 12GB"),
    (decided(gradient_checkpointing="true"), "batch_size", "A100 80GB"),
    (decided(model="Qwen/Qwen2.5-Coder-7B", gradient_checkpointing="true"), "batch_size", "A100 80GB"),
    (scenario(model="Qwen/Qwen2.5-Coder-7B", method="qlora", sequence_length="512"), "batch_size", "RTX 4090"),
    (
        scenario(model="Qwen/Qwen2.5-Coder-7B", method="lora", weights="bf16", batch_size="1", sequence_length="256"),
        "lora.rank",
        "24 GB",
    ),
    (scenario(model="meta-llama/Llama-3.1-8B", method="inference", weights="bf16"), "batch_size", "RTX 4090"),
    (
        scenario(
            model="meta-llama/Llama-3.1-8B", method="inference", weights="bf16", batch_size="8", sequence_length="64"
        ),
        "generated_length",
        "A100 80GB",
    ),
    (
        scenario(model="Qwen/Qwen2.5-Coder-7B", method="inference", weights="awq-int4", stack__transformers="4.44"),
        "batch_size",
        "RTX 3060 12GB",
    ),
]


def solved(one: Scenario, name: str, *cards: str) -> Solution:
    found = largest(one, BASE, name, [card(gpu) for gpu in cards])
    assert found is not None
    return found


def verdict(one: Scenario, name: str, value: int, gpu: str, *, replays: bool) -> str:
    """Whether a scenario with that value fits, by the estimate that anybody gets for it, or by its bounds alone."""
    with_value = one.with_fields({name: Field(Fixed(value), Place("")), "gpu": None})
    return answered(with_value).fit(card(gpu), replays=replays).verdict


@pytest.mark.parametrize(("one", "name", "gpu"), CASES, ids=lambda value: value if isinstance(value, str) else None)
def test_the_answer_fits_and_one_more_does_not(one: Scenario, name: str, gpu: str) -> None:
    found = solved(one, name, gpu)
    limit, on_card = found.limit.value, found.cards[0]
    assert on_card.perhaps is not None, "a case that shows nothing"
    sure, last = on_card.surely.value if on_card.surely else 0, on_card.perhaps.value
    assert 0 <= sure <= last <= limit
    for value in {1, sure // 2, sure - 1, sure} - {0, -1}:
        assert sure == 0 or verdict(one, name, value, gpu, replays=found.replayed or value == 1) == "yes"
    assert verdict(one, name, last, gpu, replays=False) != "no"
    if sure < limit:
        assert verdict(one, name, sure + 1, gpu, replays=found.replayed or not sure) != "yes"
    for value in (last + 1, last + 7, 2 * last):
        assert value > limit or verdict(one, name, value, gpu, replays=False) == "no"


def test_the_tokens_that_vllm_holds_beside_the_weights_by_hand() -> None:
    """Llama-3.1-8B: 8,030,261,248 parameters; a token has 2 x 32 layers x 8 heads x 128 values."""
    one = scenario(
        model="meta-llama/Llama-3.1-8B", method="inference", weights="bf16", stack__trainer="vllm",
        engine__gpu_memory_utilization="0.9", batch_size="1", sequence_length="128", generated_length="0",
    )  # fmt: skip
    gpu = card("RTX 4090")
    held = 2 * 8_030_261_248 + 2 * 131_072 * 128  # weights, and cosines and sines of every position, in bfloat16
    token = 2 * 2 * 32 * 8 * 128
    share = int(Fraction(9, 10) * gpu.usable_high)
    room = share / (1 - known_error("computed", "weights")) - held
    blocks = int(room) // (16 * token)
    found = solved(one, "engine.max_model_len", "RTX 4090").cards[0]
    assert found.surely is None, "what its profile run takes is not known"
    assert found.perhaps is not None
    assert found.perhaps.value == pytest.approx(16 * blocks, abs=16)


def test_what_one_more_rank_takes_by_hand() -> None:
    """Float32 adapters at the optimizer step: weight, gradient and two states of 4 bytes each."""
    one = scenario(
        model="Qwen/Qwen2.5-0.5B", method="lora", weights="bf16", batch_size="1", sequence_length="1", amp="true",
        lora__targets="[q_proj, v_proj]", gradient_accumulation="1", gradient_checkpointing="true",
        optimizer="adamw", optimizer_implementation="fused", stack__trainer="transformers",
    )  # fmt: skip
    parameters = 24 * (896 + 896 + 896 + 128)  # q: 896 to 896; v: 896 to 2 heads of 64
    found = solved(one, "lora.rank", "RTX 4090").cards[0].surely
    assert found is not None
    assert found.growth is not None
    assert found.growth[0] == pytest.approx(16 * parameters, rel=0.02)


def test_nothing_fits() -> None:
    found = solved(decided(model="meta-llama/Llama-3.1-70B"), "batch_size", "RTX 4090").cards[0]
    assert found.surely is None
    assert found.perhaps is None
    assert found.at_one.largest.allocated > 60 * 2**30


def test_everything_fits_up_to_the_positions_of_the_model() -> None:
    found = solved(
        scenario(model="Qwen/Qwen2.5-0.5B", method="inference", weights="bf16", batch_size="1", generated_length="0"),
        "sequence_length",
        "B200",
    )
    assert found.limit.value == 32_768
    assert found.cards[0].surely is not None
    assert found.cards[0].surely.value == 32_768


def test_a_prompt_leaves_room_for_the_answer() -> None:
    one = scenario(model="Qwen/Qwen2.5-0.5B", method="inference", weights="bf16", generated_length="768")
    assert solved(one, "sequence_length", "RTX 4090").limit.value == 32_768 - 768
    left_open = scenario(model="Qwen/Qwen2.5-0.5B", method="inference", weights="bf16")
    assert solved(left_open, "sequence_length", "RTX 4090").limit.value == 32_768 - 512, "the longest that is assumed"


def test_no_room_is_left() -> None:
    one = scenario(model="Qwen/Qwen2.5-0.5B", method="inference", weights="bf16", generated_length="32768")
    found = solved(one, "sequence_length", "RTX 4090")
    assert found.limit.value == 0
    assert found.cards[0].surely is None
    assert "there is no sequence_length to ask for" in largest_text(found)


def test_more_memory_never_holds_less() -> None:
    one = scenario(model="Qwen/Qwen2.5-Coder-7B", method="qlora", sequence_length="512", lora__rank="16")
    cards = sorted(gpus(), key=lambda gpu: gpu.usable_low)
    alike = [
        gpu for gpu in cards if (gpu.context_low, gpu.context_high) == (cards[0].context_low, cards[0].context_high)
    ]
    found = largest(one, BASE, "batch_size", alike)
    assert found is not None
    values = [one.surely.value if one.surely else 0 for one in found.cards]
    assert len(values) > 3
    assert values == sorted(values)


def test_a_card_of_many_is_answered_as_alone() -> None:
    one = scenario(model="Qwen/Qwen2.5-Coder-7B", method="lora", weights="bf16", sequence_length="512")
    together = solved(one, "batch_size", "RTX 4090", "A100 80GB", "H100", "L4")
    for found in together.cards:
        alone = solved(one, "batch_size", found.gpu).cards[0]
        assert (found.surely and found.surely.value) == (alone.surely and alone.surely.value)
        assert (found.perhaps and found.perhaps.value) == (alone.perhaps and alone.perhaps.value)


LORA_8B = {
    "model": "meta-llama/Meta-Llama-3-8B-Instruct", "method": "lora", "weights": "bf16", "amp": "true",
    "sequence_length": "2048", "gradient_checkpointing": "true", "gradient_accumulation": "8", "optimizer": "adamw",
    "lora__rank": "8", "lora__targets": "all-linear", "stack__trainer": "transformers", "gpu": "RTX 4090",
}  # fmt: skip


def test_a_batch_that_an_estimate_lets_fit_is_not_said_to_fit_perhaps() -> None:
    """Bounds of what is reserved decide nothing on 24 GB here; the replay, which an estimate is judged by, does."""
    one = answered(scenario(**LORA_8B, batch_size="1"))
    (card,) = one.named_cards()
    assert one.fit(card).verdict == "maybe"
    assert one.fits()[0].verdict == "yes"
    assert solved(scenario(**LORA_8B), "batch_size", "RTX 4090").cards[0].surely is not None
    many = solved(scenario(**LORA_8B), "batch_size", "RTX 4090", "A100 80GB", "H100", "L4", "L40S")
    (found,) = (one for one in many.cards if one.gpu == "GeForce RTX 4090")
    assert found.surely is not None
    assert "surely: by bounds" in largest_text(many)


def test_what_the_scenario_says_of_the_field_is_asked_anew() -> None:
    eight = solved(decided(batch_size="8"), "batch_size", "RTX 4090").cards[0].surely
    two = solved(decided(batch_size="2"), "batch_size", "RTX 4090").cards[0].surely
    assert eight is not None
    assert two is not None
    assert eight.value == two.value


def test_where_other_kernels_take_over_memory_falls_and_is_searched_on_both_sides() -> None:
    """AWQ weights are written out from 1,024 tokens on: a batch of 11 x 96 tokens takes less than one of 10 x 96."""
    one = scenario(
        model="Qwen/Qwen2.5-7B", method="inference", weights="awq-int4", stack__transformers="4.44",
        sequence_length="96", generated_length="0",
    )  # fmt: skip
    ten, eleven = (
        answered(one.with_fields({"batch_size": Field(Fixed(count), Place(""))})).reserved[1] for count in (10, 11)
    )
    assert eleven < ten
    found = solved(one, "batch_size", "24 GB").cards[0]
    assert found.surely is not None
    assert found.surely.value > 11
