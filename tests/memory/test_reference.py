"""The reference of a preference loss: its row by hand, what it leaves alone, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.finding import Place
from toolkit.memory.estimate import Estimate, estimate, holdings
from toolkit.memory.ledger import PhaseName
from toolkit.memory.reference import ROW
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.fields.value import Field, Fixed
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.decide import decide
from toolkit.spec.settings.setting import Lora, Parallel, Setting, Stack

SMALL = "HuggingFaceTB/SmolLM2-135M"
PAIRS = Setting(
    SMALL, "full", "bf16", objective="dpo", reference="model", batch_size=2, sequence_length=128,
    stack=Stack("trl", "chunked"),
)  # fmt: skip
ADAPTED = replace(PAIRS, method="lora", reference="adapters-off", lora=Lora(8))


def of(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def rows(setting: Setting, phase: PhaseName) -> dict[str, int]:
    found = of(setting).ledger.phase(phase)
    assert found is not None
    return {row.name: row.bytes for row in found.rows}


def test_a_second_model_has_the_bytes_of_the_first_in_every_phase() -> None:
    """SmolLM2-135M: 134,515,008 parameters of 16 bit; of 30 layers and the end norms of 576, in blocks of 512 bytes."""
    found = of(PAIRS)
    rounded = (2 * 30 + 1) * (3 * 512 - 2 * 576)
    for phase in found.ledger.phases:
        [size] = [row.bytes for row in phase.rows if row.name == ROW]
        assert size == 134_515_008 * 2 + rounded, phase.name


@pytest.mark.parametrize("setting", [ADAPTED, replace(PAIRS, reference="precomputed")], ids=["adapters", "precomputed"])
def test_no_second_model_is_there_where_none_is_made(setting: Setting) -> None:
    assert all(row.name != ROW for phase in of(setting).ledger.phases for row in phase.rows)


def test_a_pair_is_two_sequences() -> None:
    """Precomputed, a batch of pairs is a batch of twice as many sequences, but for the mask of what is the answer's."""
    pairs, singles = replace(PAIRS, reference="precomputed"), replace(PAIRS, objective="next-token", reference=None)
    for phase in (PhaseName.FORWARD_END, PhaseName.BACKWARD, PhaseName.OPTIMIZER_STEP):
        found, other = rows(pairs, phase), rows(replace(singles, batch_size=4), phase)
        masks = found.pop("token_ids") - other.pop("token_ids")
        assert masks == 4 * 128 * 8
        assert found == other


def test_a_run_with_adapters_asks_its_own_model_without_them() -> None:
    """Without checkpoints forward is fullest while the reference runs; precomputed it is no fuller than at the end."""
    asked = of(replace(ADAPTED, sequence_length=2048)).ledger.phase(PhaseName.FORWARD_END)
    told = of(replace(ADAPTED, sequence_length=2048, reference="precomputed")).ledger.phase(PhaseName.FORWARD_END)
    assert asked is not None
    assert told is not None
    assert asked.moment.startswith("reference: ")
    assert not told.moment.startswith("reference: ")
    assert asked.total > told.total


def test_a_reward_counts_sequences_and_asks_its_reference_beforehand() -> None:
    """GRPOTrainer: no pass of the reference while the graph is there, and beta 0 has no reference at all."""
    singles = replace(PAIRS, objective="next-token", reference=None, sequence_length=512)
    rewarded = replace(singles, objective="grpo")
    beside = replace(rewarded, reference="model")
    for phase in (PhaseName.FORWARD_END, PhaseName.BACKWARD, PhaseName.OPTIMIZER_STEP):
        plain, none, model = (rows(one, phase) for one in (singles, rewarded, beside))
        masks = none.pop("token_ids") - plain.pop("token_ids")
        assert masks == 2 * 2 * 512 * 8  # prompts and answers with their masks, of which ids and mask are put together
        assert none == plain
        assert model.pop(ROW) > 0
        assert {**plain, "token_ids": model["token_ids"]} == model


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (replace(PAIRS, stack=Stack("transformers")), "TRL's trainers"),
        (replace(PAIRS, stack=Stack("trl", "chunked", {"trl": "0.20"})), "trl 1.8 or newer"),
        (replace(PAIRS, stack=Stack("trl", "cross-entropy")), "trl 1.8 or newer"),
        (replace(PAIRS, reference="adapters-off"), "where no adapters are trained"),
        (replace(PAIRS, parallel=Parallel(2, "fsdp")), "weights on one GPU or on each"),
        (replace(PAIRS, packing="padding-free", attention="flash"), "rows of one sample"),
        (replace(PAIRS, model="allenai/OLMoE-1B-7B-0924"), "without experts"),
        (replace(PAIRS, model="openai-community/gpt2"), "models without dropout"),
    ],
    ids=["trainer", "release", "loss", "no adapters", "shards", "packed", "experts", "dropout"],
)
def test_what_is_not_followed_is_refused_by_name(setting: Setting, reason: str) -> None:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    with pytest.raises(UnsupportedRow, match=f"reference_model: .*{reason}"):
        estimate(setting, facts)
    with pytest.raises(UnsupportedRow, match="reference_model"):
        holdings(setting, facts)


def test_every_gpu_of_ddp_has_both_models() -> None:
    alone, both = rows(PAIRS, PhaseName.LOAD), rows(replace(PAIRS, parallel=Parallel(2, "ddp")), PhaseName.LOAD)
    assert both[ROW] == alone[ROW]


def test_dropout_before_adapters_is_turned_off() -> None:
    """DPOConfig.disable_dropout is true: a scenario that states a dropout is the one without."""
    said = {"model": SMALL, "method": "lora", "objective": "dpo", "lora.rank": 8, "lora.targets": "all-linear"}
    fields: dict[str, Field | None] = {
        name: Field(Fixed(value), Place("a.yaml")) for name, value in {**said, "lora.dropout": 0.1}.items()
    }
    setting = decide(Scenario("a", Place("a.yaml")).with_fields(fields), {})
    assert setting.lora is not None
    assert setting.lora.dropout == 0.0
    assert (setting.objective, setting.reference) == ("dpo", "adapters-off")
