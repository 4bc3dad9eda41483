"""The trainers that a stack can name, grouped by the behaviour that they share."""

from __future__ import annotations

MEGATRON = "megatron"
TORCHTITAN = "torchtitan"
TORCHTUNE = "torchtune"
TRL = ("trl",)
UNSLOTH = ("unsloth",)

BY_ACCELERATE = ("transformers", *TRL, *UNSLOTH)
"""Trainers under which accelerate wraps the model in autocast."""
BY_FROM_PRETRAINED = ("transformers", *TRL, "plain")
"""Trainers whose models are loaded by from_pretrained, in a dtype that may differ from that of their products."""
LOOPS_IN_TORCH = ("plain", TORCHTUNE, TORCHTITAN)
"""Trainers that shard a model with torch alone, without accelerate."""
UNPREPARED = (*UNSLOTH, "litgpt", TORCHTUNE)
"""Trainers that do not call peft's prepare_model_for_kbit_training."""
