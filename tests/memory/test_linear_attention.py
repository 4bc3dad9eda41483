"""Linear attention by the kernels of flash-linear-attention, and what states take: against the libraries' own code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.architecture.mixers import DeltaNet
from toolkit.memory.context import Scale
from toolkit.memory.estimate import estimate
from toolkit.memory.formula.arrays import per_token
from toolkit.memory.formula.recurrence.fla_delta_rule import fla_delta_rule
from toolkit.memory.formula.recurrence.rule_form import RuleForm
from toolkit.memory.ledger import PhaseName
from toolkit.memory.programs.layer_order import Turn, in_turn, surroundings
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import Alive
from toolkit.memory.tape.peaks import amounts
from toolkit.memory.tape.tape import Tape
from toolkit.spec.settings.setting import Kernels, Setting, Stack

MIB = 2**20
SEEN = {
    (16, 32): (104.37, 38.62, 186.95),
    (16, 16): (63.21, 24.87, 101.77),
}
"""MiB at the fullest moment of the forward pass, after it, and of the backward pass, beside what went in.

Of fla 0.6.0's own chunk_gated_delta_rule, run on tensors without storage with its Triton kernels left out: 2 sequences
of 700 tokens, heads of 128 in bfloat16, so many of keys and of values, output gradient included.
"""


@pytest.mark.parametrize(("heads", "seen"), SEEN.items())
def test_the_kernels_of_fla_take_what_they_were_seen_to_take(
    heads: tuple[int, int], seen: tuple[float, float, float]
) -> None:
    net = DeltaNet(heads[0], heads[1], 128, 128, 4)
    tape, scale = Tape(records=True), Scale(2, 700)
    given = [
        tape.new("x", width, dtype, grad=True, size=per_token(width, dtype))
        for width, dtype in (
            (net.keys, "bf16"), (net.keys, "bf16"), (net.values, "bf16"), (heads[1], "fp32"), (heads[1], "bf16")
        )
    ]  # fmt: skip

    def total(alive: Alive) -> float:
        return sum(scale.bytes(parts) for parts in amounts(alive).values()) / MIB

    there = total(tape.alive)
    result = fla_delta_rule(tape, given[0], given[1], given[2], given[3], given[4], RuleForm(net, 3, ragged=True))
    forward, kept = max(map(total, tape.moments)) - there, total(tape.alive) - there
    tape.begin()
    tape.backward(result)
    assert (forward, kept, max(map(total, tape.moments)) - there) == pytest.approx(seen, abs=0.02)


def _facts(name: str) -> ModelFacts:
    facts = load_model(name)
    assert isinstance(facts, ModelFacts)
    return facts


def test_kernels_take_less_than_torch_and_the_note_says_which_is_meant() -> None:
    setting = Setting("Qwen/Qwen3.5-9B", "full", "bf16", batch_size=1, sequence_length=4096)
    written = estimate(setting, _facts(setting.model))
    kernels = Kernels(linear_attention="fla", convolution="causal-conv1d")
    fused = estimate(replace(setting, kernels=kernels), _facts(setting.model))
    assert fused.allocated < written.allocated
    assert any("torch's operations" in note for note in written.notes)
    assert not any("torch's operations" in note for note in fused.notes)


def test_the_states_of_qwen_are_those_of_its_config() -> None:
    """24 of 32 layers: a convolution over 4 of 8,192 channels in bfloat16, and 32 states of 128 x 128 in float32.

    In the other 8 layers 4 heads of 256 have keys and values of 1,000 + 7 tokens.
    """
    setting = Setting("Qwen/Qwen3.5-9B", "inference", "bf16", sequence_length=1000, generated_length=8)
    found = estimate(setting, _facts(setting.model)).ledger.phase(PhaseName.DECODE)
    assert found is not None
    cache = next(row.bytes for row in found.rows if row.name == "kv_cache")
    assert cache == 24 * (4 * 8192 * 2 + 32 * 128 * 128 * 4) + 8 * 2 * 4 * 256 * 2 * 1007


def test_what_no_formula_has_is_refused_by_name() -> None:
    model = _facts("Qwen/Qwen3.5-4B")
    setting = Setting(model.id, "inference", "bf16", generated_length=8)
    with pytest.raises(UnsupportedRow, match="padded rows beside linear attention"):
        estimate(replace(setting, padding=True), model)
    llama = _facts("HuggingFaceTB/SmolLM2-135M")
    fused = replace(setting, kernels=Kernels(linear_attention="fla"))
    with pytest.raises(UnsupportedRow, match="fla runs no part of llama"):
        estimate(fused, llama)
    with pytest.raises(UnsupportedRow, match="vLLM keeps the states of linear attention"):
        estimate(replace(setting, stack=Stack(trainer="vllm"), gpu="A100 80GB"), model)


def test_which_layers_come_before_and_after_is_told_by_their_order() -> None:
    """Three layers of one kind, of which the third is of another: the first alone, and then by kind."""
    one, other = surroundings((0, 0, 1, 0))
    assert (one.before, one.after) == ((0, 0), (0, 0))
    assert (other.before, other.after) == ((2, 0), (1, 0))
    turns, numbers = in_turn((0, 0, 1, 0), trained=0)
    assert turns == (Turn(0, True, 2), Turn(1, True, 1))
    assert numbers == (0, 1, 2, 1)


def test_no_gradient_flows_to_layers_before_the_first_adapter() -> None:
    """Nor to that of the first adapter itself: layer 3 of six, of the second kind."""
    turns, numbers = in_turn((0, 0, 0, 1, 0, 1), trained=3)
    assert turns == (Turn(0, False, 2), Turn(1, False, 1), Turn(0, True, 1), Turn(1, True, 1))
    assert numbers == (0, 1, 1, 2, 3, 4)
