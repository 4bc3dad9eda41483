"""A setting stated twice; what is open has no say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.build import outcome_of


@pytest.mark.parametrize(
    ("text", "claim", "verdict", "reason"),
    [
        ("2", "scenario: oss-lora, subject: {field: batch_size}", "agrees", "has batch_size 2"),
        ("4", "scenario: oss-lora, subject: {field: batch_size}", "disagrees", "has batch_size 2"),
        ("4-bit", "scenario: oss-lora, subject: {field: weights}", "agrees", "weights nf4"),
        ("8-bit", "scenario: oss-lora, subject: {field: weights}", "disagrees", "weights nf4"),
        ("16", "scenario: oss-lora, subject: {field: lora.rank}", "agrees", ""),
        ("8", "scenario: oss-lora, subject: {field: lora.rank}", "disagrees", ""),
        ("16", "scenario: qwen-open, subject: {field: lora.rank}", "unchecked", "says nothing of lora.rank"),
        ("bfloat16", "scenario: qwen-bf16, subject: {field: weights}", "agrees", "weights bf16"),
        ("float16", "scenario: qwen-bf16, subject: {field: weights}", "disagrees", "weights bf16"),
        # Llama 3.1 8B: 131,072 positions, 32 layers
        ("128K", "scenario: llama-bf16, subject: {config: max_position_embeddings}", "disagrees", "131072"),
        ("131K", "scenario: llama-bf16, subject: {config: max_position_embeddings}", "agrees", "131072"),
        ("32", "scenario: llama-bf16, subject: {config: num_hidden_layers}", "agrees", "num_hidden_layers 32"),
        ("40", "scenario: llama-bf16, subject: {config: num_hidden_layers}", "disagrees", "num_hidden_layers 32"),
        ("40", "scenario: llama-bf16, subject: {config: layers_of_cake}", "unchecked", "has no layers_of_cake"),
        # a text is compared as such and never malformed
        ("whatever", "scenario: oss-lora, subject: {field: batch_size}", "disagrees", "has batch_size 2"),
    ],
)
def test_hyperparameter(tmp_path: Path, text: str, claim: str, verdict: str, reason: str) -> None:
    outcome = outcome_of(tmp_path, text, f"quantity: hyperparameter, {claim}".rstrip(", "), verdict)
    assert reason in outcome.reason
