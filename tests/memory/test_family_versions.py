"""What versions of transformers do that only some families' code did: losses, logits and caches of their own."""

from __future__ import annotations

from dataclasses import replace

from tests.memory.test_refusal import facts
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.spec.settings.setting import Setting, Stack

SANTACODER = Setting(
    "bigcode/gpt_bigcode-santacoder",
    "full",
    "bf16",
    batch_size=8,
    sequence_length=2048,
    attention="flash",
    gradient_checkpointing="reentrant",
)
WITH_CACHE, WITHOUT = "4.52.4", "4.53.3"
POSITIONS, WIDTH, VOCABULARY, LAYERS = 8 * 2048, 2048, 49_280, 24


def found(setting: Setting, transformers: str = "") -> Estimate:
    versions = {"transformers": transformers} if transformers else {}
    return estimate(replace(setting, stack=Stack("trl", versions=versions)), facts(setting.model))


def total(given: Estimate, phase: PhaseName) -> int:
    held = given.ledger.phase(phase)
    assert held is not None
    return held.total


def row(given: Estimate, phase: PhaseName, name: str) -> int:
    held = given.ledger.phase(phase)
    assert held is not None
    return sum(one.bytes for one in held.rows if one.name == name)


def test_checkpointed_layers_of_gpt_bigcode_gave_their_keys_to_a_cache() -> None:
    """Each key is part of what the joined projection gave, all of which stays until the model's result is let go."""
    before, after = found(SANTACODER, WITH_CACHE), found(SANTACODER, WITHOUT)
    kept = POSITIONS * (WIDTH + 2 * 128) * 2 * LAYERS
    assert row(before, PhaseName.FORWARD_END, "attention_states") == kept
    assert row(after, PhaseName.FORWARD_END, "attention_states") == 0
    assert total(before, PhaseName.BACKWARD) == total(after, PhaseName.BACKWARD)


def test_an_older_loss_was_taken_in_the_dtype_of_the_logits() -> None:
    older, newer = found(SANTACODER, "4.44.2"), found(SANTACODER, "4.48.3")
    each = POSITIONS * VOCABULARY * 2
    assert row(older, PhaseName.FORWARD_END, "logits") == 2 * each
    assert row(older, PhaseName.FORWARD_END, "log_probabilities") == each
    assert row(newer, PhaseName.FORWARD_END, "log_probabilities") == 2 * each


def test_logits_of_a_single_sequence_are_shifted_without_a_copy() -> None:
    """`contiguous` copies nothing where the part is in one piece."""
    one = replace(SANTACODER, batch_size=1)
    assert row(found(one, "4.44.2"), PhaseName.FORWARD_END, "logits") == POSITIONS // 8 * VOCABULARY * 2


def test_a_prompt_is_fullest_where_all_layers_have_keys_in_the_cache() -> None:
    """In the last feed-forward of 28 layers, as traced with both releases; queries are normed before keys are made."""
    setting = Setting("Qwen/Qwen3-0.6B", "inference", "bf16", sequence_length=512, generated_length=8)
    each = 512 * 2 * 8 * 128 * 2
    for version in ("4.57.1", "5.23.0"):
        assert row(found(setting, version), PhaseName.PREFILL, "kv_cache") == 28 * each
        assert row(found(setting, version), PhaseName.PREFILL, "feed_forward_states") == 3 * 512 * 3072 * 2


def test_a_decoder_with_an_encoder_caches_the_prompt_once() -> None:
    """T5: a token of its own and, for attention to the encoder's result, keys and values of the prompt."""
    setting = Setting("google-t5/t5-small", "inference", "bf16", sequence_length=512, generated_length=8)
    cached = row(found(setting), PhaseName.DECODE, "kv_cache")
    prompt = 6 * 2 * 512 * 512 * 2
    assert prompt < cached < prompt * 1.2
