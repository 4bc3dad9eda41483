"""torchtitan's training against fully_shard, torch's checkpoints and its model's code, on a CPU, storage by storage."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.memory.parallel import titan
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import PhaseName
from toolkit.spec.settings.setting import Parallel, Setting, Stack

pytestmark = pytest.mark.reference

RANKS = 4
NOT_SEEN = frozenset({"optimizer_states", "cublas_workspace", "allocator_rounding"})
"""Rows of what no operation of a pass on a CPU makes."""

SMALL_END, LARGE_END = 400, 1500
FEW, MANY = (1, 32), (2, 128)
ROOT, APART = {"torchtitan": "0.0.2"}, {"torchtitan": "0.2.1", "torch": "2.8"}


def model(vocabulary: int) -> ModelFacts:
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": titan.HIDDEN,
        "intermediate_size": titan.INNER,
        "num_hidden_layers": titan.LAYERS,
        "num_attention_heads": titan.HEADS,
        "num_key_value_heads": titan.KEYS,
        "head_dim": titan.HEAD,
        "vocab_size": vocabulary,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }
    return model_from_config(config, "titan")


def setting(tokens: tuple[int, int], form: str, versions: dict[str, str]) -> Setting:
    return Setting(
        "titan",
        "full",
        "fp32",
        compute="bf16",
        amp=True,
        batch_size=tokens[0],
        sequence_length=tokens[1],
        optimizer="adamw",
        optimizer_states="fp32",
        gradients="fp32",
        attention="sdpa",
        gradient_checkpointing=form,
        stack=Stack("torchtitan", "cross-entropy", versions),
        parallel=Parallel(gpus=RANKS, strategy="fsdp2"),
    )


@pytest.mark.parametrize("versions", [ROOT, APART], ids=["ends in the root", "ends apart"])
@pytest.mark.parametrize("form", ["selective", "non-reentrant", "false"])
@pytest.mark.parametrize("tokens", [FEW, MANY], ids=["weights", "activations"])
@pytest.mark.parametrize("vocabulary", [SMALL_END, LARGE_END], ids=["small end", "large end"])
def test_both_passes_take_what_they_take(
    vocabulary: int, tokens: tuple[int, int], form: str, versions: dict[str, str]
) -> None:
    if form == "false" and versions is APART:
        pytest.skip("what torch's norm keeps is not followed before it was fused, and a CPU has no fused one")
    read = titan.run(vocabulary, tokens, RANKS, form, apart=versions is APART)
    ledger = estimate(setting(tokens, form, versions), model(vocabulary)).ledger
    for name, bytes_read in ((PhaseName.FORWARD_END, read.forward), (PhaseName.BACKWARD, read.backward)):
        phase = ledger.phase(name)
        assert phase is not None
        made = sum(row.bytes for row in phase.rows if row.name not in NOT_SEEN)
        assert made == pytest.approx(max(bytes_read), rel=2e-3)
