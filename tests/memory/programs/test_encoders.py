"""What encoders keep, counted by hand from the shapes in transformers' modeling_deberta_v2.py and modeling_bert.py."""

from __future__ import annotations

from dataclasses import replace

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import Estimate, estimate
from toolkit.memory.ledger import PhaseName
from toolkit.spec.settings.setting import Setting, Stack

DEBERTA = Setting(
    "microsoft/mdeberta-v3-base",
    "full",
    "fp32",
    head="sequence-classification",
    labels=2,
    compute="fp32",
    gradients="fp32",
    optimizer_states="fp32",
    batch_size=4,
    sequence_length=128,
)
LAYERS, HEADS, HIDDEN, ROWS = 12, 12, 768, 512
TOKENS, PAIRS = 4 * 128, 4 * 128 * 128


def found(setting: Setting) -> Estimate:
    facts = load_model(setting.model)
    assert isinstance(facts, ModelFacts)
    return estimate(setting, facts)


def bytes_of(estimated: Estimate, phase: PhaseName, row: str) -> int:
    kept = estimated.ledger.phase(phase)
    assert kept is not None
    return sum(entry.bytes for entry in kept.rows if entry.name == row)


def test_a_deberta_layer_keeps_both_gathered_scores_and_the_probabilities_twice_with_a_mask() -> None:
    scores = bytes_of(found(DEBERTA), PhaseName.FORWARD_END, "attention_scores")
    gathered = 2 * TOKENS * HEADS * ROWS * 4
    probabilities = PAIRS * HEADS * (4 + 4 + 1)
    assert scores == LAYERS * (gathered + probabilities)


def test_a_deberta_layer_keeps_its_indices_once_for_all_sequences_and_its_tables_once_for_each() -> None:
    table = ROWS * HIDDEN
    for batch in (2, 4):
        kept = bytes_of(found(replace(DEBERTA, batch_size=batch)), PhaseName.FORWARD_END, "relative_positions")
        each = 2 * 128 * 128 * 8 + table * (4 + 1) + 2 * batch * table * 4
        shared = 128 * 128 * 8 + table * 4
        assert kept == LAYERS * each + shared


def test_deberta_attends_eagerly_whatever_is_asked_for_and_says_so() -> None:
    asked, eager = found(DEBERTA), found(replace(DEBERTA, attention="eager"))
    assert asked.allocated == eager.allocated
    assert any("DeBERTa" in note for note in asked.notes)
    assert not eager.notes


def test_without_checkpointing_embeddings_that_are_normed_keep_their_sum_and_the_mask_of_dropout() -> None:
    kept = bytes_of(found(DEBERTA), PhaseName.FORWARD_END, "embedding_states")
    assert kept == TOKENS * HIDDEN * (4 + 1)


def test_a_shared_projection_has_one_gradient_and_all_are_there_in_the_step() -> None:
    estimated = found(DEBERTA)
    assert bytes_of(estimated, PhaseName.OPTIMIZER_STEP, "gradients") == 4 * 278_810_882


def test_the_gradients_of_a_tied_embedding_stand_beside_their_sum_unless_autocast_made_one() -> None:
    bert = Setting(
        "FacebookAI/xlm-roberta-base", "full", "fp32", head="masked-lm", gradients="fp32", sequence_length=64
    )
    plain, cast = (found(replace(bert, compute=dtype, amp=amp)) for dtype, amp in (("fp32", False), ("bf16", True)))
    table = 250_002 * 768 * 4
    assert bytes_of(plain, PhaseName.BACKWARD, "new_gradient") == 2 * table
    assert bytes_of(cast, PhaseName.BACKWARD, "new_gradient") == table


def test_eager_attention_of_bert_grows_with_the_square_of_the_sequence_and_a_kernel_does_not() -> None:
    bert = replace(DEBERTA, model="google-bert/bert-base-uncased", sequence_length=256)
    twice = replace(bert, sequence_length=512)
    scores = [
        bytes_of(found(replace(setting, attention=attention)), PhaseName.FORWARD_END, "attention_scores")
        for attention in ("eager", "sdpa")
        for setting in (bert, twice)
    ]
    assert scores == [12 * 4 * 256 * 256 * 12 * 9, 12 * 4 * 512 * 512 * 12 * 9, 0, 0]


def test_a_layer_keeps_the_probabilities_that_attention_gives_back_unasked_since_4_54() -> None:
    """Of a pair autocast keeps 4 bytes of softmax, 1 of a mask and 2 of the cast; 4 are what dropout gave the layer."""
    bert = replace(
        DEBERTA, model="google-bert/bert-base-uncased", attention="eager", sequence_length=512, compute="bf16", amp=True
    )
    found_in = {
        version: found(replace(bert, stack=Stack(versions={"transformers": version})))
        for version in ("4.53.3", "4.54.1", "4.57.1")
    }
    entries = 4 * 512 * 512 * HEADS
    for version in ("4.54.1", "4.57.1"):
        scores = bytes_of(found_in[version], PhaseName.FORWARD_END, "attention_scores")
        assert scores == entries * (LAYERS * (4 + 1 + 2) + 4)
    assert found_in["4.53.3"].allocated < found_in["4.54.1"].allocated == found_in["4.57.1"].allocated
