"""GPT-BigCode (SantaCoder, StarCoder): GPT-2 with linears, and one head of keys and values."""

from __future__ import annotations

from functools import partial

from toolkit.memory.architecture import parts
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.gpt2 import GPT2_DEFAULTS, gpt2_layers
from toolkit.memory.architecture.heads import Head
from toolkit.memory.architecture.model import Architecture

GPT_BIGCODE_DEFAULTS = {**GPT2_DEFAULTS, "activation_function": "gelu_pytorch_tanh", "multi_query": True}


def gpt_bigcode(config: Config, head: Head) -> Architecture:
    """A decoder without cross-attention; with `multi_query` all query heads share keys and values."""
    shared = 1 if config.flag("multi_query") else None
    return gpt2_layers(config, head, partial(parts.linear, bias=True), "GPT-BigCode", shared)
