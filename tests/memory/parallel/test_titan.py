"""torchtitan's training of Llama 3.1 8B by hand: what checkpoints keep, what is gathered, reduced and reserved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.architecture.config import UnsupportedModel
from toolkit.memory.contexts import contexts_of
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.memory.parallel.shard_moments import Shards
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.replay.fully_sharded import FullyShardedRun
from toolkit.memory.replay.orders import reserved
from toolkit.memory.replay.reserved import replayed
from toolkit.memory.tape.recording import programs_of
from toolkit.spec.settings.setting import Parallel, Setting, Stack

LAYERS, WIDTH, KEYS, INNER, VOCABULARY, HEADS = 32, 4096, 1024, 14_336, 128_256, 32
LAYER = 2 * WIDTH * WIDTH + 2 * KEYS * WIDTH + 3 * INNER * WIDTH + 2 * WIDTH
ENDS = 2 * VOCABULARY * WIDTH + WIDTH
TOKENS = 2 * 8192
GPUS = 8
HALF, FLOAT = 2, 4
SEGMENT = 2 << 20

OLD, NEW = {"torchtitan": "0.0.2"}, {"torchtitan": "0.2.2"}
TITAN = Setting(
    "meta-llama/Llama-3.1-8B",
    "full",
    "fp32",
    compute="bf16",
    amp=True,
    batch_size=2,
    sequence_length=8192,
    optimizer="adamw",
    optimizer_implementation="foreach",
    optimizer_states="fp32",
    gradients="fp32",
    attention="sdpa",
    gradient_checkpointing="selective",
    stack=Stack("torchtitan", "cross-entropy", OLD),
    parallel=Parallel(gpus=GPUS, strategy="fsdp2"),
)


def facts(setting: Setting) -> ModelFacts:
    found = load_model(setting.model)
    assert isinstance(found, ModelFacts)
    return found


def known(setting: Setting) -> Estimate:
    return estimate(setting, facts(setting))


def rows(setting: Setting, name: PhaseName) -> dict[str, int]:
    phase = known(setting).ledger.phase(name)
    assert phase is not None
    return {row.name: row.bytes for row in phase.rows}


def run_of(setting: Setting) -> FullyShardedRun:
    [context] = contexts_of(setting, facts(setting))
    assert isinstance(context.sharing, Shards)
    run = FullyShardedRun(context, programs_of(context), context.sharing)
    run.events()
    return run


def test_selective_checkpoints_keep_four_products_of_seven_and_what_attention_gives() -> None:
    """Of q, k, v, o, gate, up and down the first, third, fifth and seventh; the input of each layer stays anyway."""
    found = rows(TITAN, PhaseName.BACKWARD)
    query_value, attended = (WIDTH + KEYS) * HALF, WIDTH * HALF + HEADS * FLOAT
    assert found["layer_inputs"] == LAYERS * TOKENS * WIDTH * HALF
    assert found["attention_states"] == LAYERS * TOKENS * query_value
    assert found["attention_output"] == LAYERS * TOKENS * attended
    assert found["feed_forward_states"] == LAYERS * TOKENS * (INNER + WIDTH) * HALF


def test_a_gpu_holds_its_part_in_float32_and_all_else_in_the_dtype_of_the_pass() -> None:
    found = rows(TITAN, PhaseName.BACKWARD)
    part = (LAYERS * LAYER + ENDS) // GPUS
    assert (found["weights"], found["optimizer_states"]) == (part * FLOAT, 2 * part * FLOAT)
    assert found["gathered_parameters"] == (ENDS + LAYER) * HALF  # the last layer stays, and no buffer is on its way
    assert found["logits_gradient"] + found["log_probabilities"] == 3 * TOKENS * VOCABULARY * FLOAT


@pytest.mark.parametrize("versions", [OLD, NEW], ids=["ends in the root", "ends apart"])
def test_parts_of_gradients_and_buffers_have_streams_of_their_own(versions: dict[str, str]) -> None:
    """Every part of gradients is in a segment of its own. Of buffers there are the ends', a layer's and parts cast.

    An end of its own finds the embedding's block cut up by layers.
    """
    run = run_of(replace(TITAN, stack=Stack("torchtitan", "cross-entropy", versions)))
    parts = (LAYERS * LAYER + ENDS) // GPUS * FLOAT
    count = LAYERS + (2 if versions is NEW else 1)
    assert parts <= reserved(run.reducing)[1] <= parts + count * SEGMENT
    buffers = (ENDS + LAYER) * HALF
    assert buffers <= reserved(run.gathering)[1] <= buffers + (ENDS + LAYER) * HALF // GPUS + 4 * SEGMENT


def test_nothing_is_left_after_a_step_but_weights_and_states() -> None:
    run = run_of(TITAN)
    for stream in (run.gathering, run.reducing):
        assert stream.order
        assert sum(stream.order) == 0  # each block that is made is released


def test_what_is_reserved_is_no_less_than_what_is_allocated() -> None:
    one = known(TITAN)
    low, high = replayed(one)
    assert one.allocated <= low <= high


def test_full_checkpoints_take_less_and_none_more() -> None:
    full, none = (replace(TITAN, gradient_checkpointing=form) for form in ("non-reentrant", "false"))
    assert known(full).allocated < known(TITAN).allocated < known(none).allocated


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "inference"},
        {"weights": "bf16"},
        {"amp": False},
        {"attention": "eager"},
        {"gradient_checkpointing": "reentrant"},
        {"parallel": Parallel(gpus=GPUS, strategy="fsdp")},
        {"stack": Stack("torchtitan", "chunked")},
        {"stack": Stack("torchtitan", "cross-entropy", {"torch": "2.7"}), "gradient_checkpointing": "false"},
    ],
    ids=str,
)
def test_what_torchtitan_does_not_do_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UnsupportedRow):
        known(replace(TITAN, **changes))  # type: ignore[arg-type]  # a field of each


def test_others_do_not_select() -> None:
    with pytest.raises(UnsupportedRow, match="selective checkpoints with transformers"):
        known(replace(TITAN, stack=Stack("transformers", "cross-entropy")))


def test_families_that_are_not_followed_are_refused() -> None:
    with pytest.raises(UnsupportedModel, match="torchtitan"):
        known(replace(TITAN, model="google/gemma-2b"))
