"""Modules of a layer in the order in which they run, and those without weights, of which storage knows nothing.

ZeRO 3 gathers ahead at each of them, too. Sources: transformers models/llama, gpt2, t5 and bart (5.23), in which also
most other families have theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from toolkit.memory.parallel.zero_visits import Leaf

Silent = Sequence[tuple[str, int, str]]
"""After which module one runs that has no weights, out of how many modules around it one has to go, and its name."""

GATED: Silent = ((".gate_proj", 0, "act_fn"), ("model.embed_tokens", 0, "rotary_emb"))
"""Decoders of LLaMA's shape."""

UNGATED: Silent = ((".fc1", 0, "activation_fn"),)

OF_FAMILY: Mapping[str, Silent] = {
    "gpt2": (
        (".wpe", 0, "drop"),
        (".attn.c_proj", 0, "resid_dropout"),
        (".c_fc", 0, "act"),
        (".mlp.c_proj", 0, "dropout"),
    ),
    "t5": (
        (".embed_tokens", 0, "dropout"),
        ("Attention.o", 1, "dropout"),
        (".wi", 0, "act"),
        (".wi", 0, "dropout"),
        (".wi_0", 0, "act"),
        (".wi_1", 0, "dropout"),
        (".wo", 1, "dropout"),
        (".final_layer_norm", 0, "dropout"),
    ),
    "bart": UNGATED,
    "opt": UNGATED,
}

TURNS: Sequence[tuple[str, int]] = (
    ("input_layernorm", 0),
    ("self_attn_layer_norm", 2),
    ("post_attention_", 2),
    ("pre_feedforward_", 2),
    ("encoder_attn_layer_norm", 4),
    ("final_layer_norm", 6),
    ("post_feedforward_", 6),
    ("encoder_attn", 3),
    ("attn", 1),
    ("attention", 1),
)
"""When a module of a layer runs, by what is in its name; all others are a feed-forward's, whose turn is the fifth."""

IN_BLOCK = re.compile(r"\.layer\.(\d+)\.")
"""T5's layers are of blocks, each of which has its norm first."""


def with_silent(leaves: Iterable[Leaf], family: str) -> Iterator[Leaf]:
    """The same modules, and after some of them those without weights."""
    silent = OF_FAMILY.get(family, GATED)
    for leaf in leaves:
        yield leaf
        for after, out, name in silent:
            if leaf.path.endswith(after):
                around = leaf.path.rsplit(".", 1 + out)[0]
                yield Leaf(f"{around}.{name}")


def as_run(layer: Sequence[Leaf]) -> list[Leaf]:
    """A layer's modules as they run; storage has its norms after all else, or before its feed-forward."""
    return sorted(layer, key=lambda leaf: _turn(leaf.path))


def _turn(path: str) -> tuple[int, int]:
    if block := IN_BLOCK.search(path):
        return int(block[1]), 0 if path.endswith("layer_norm") else 1 + path.endswith("Attention.o")
    return 0, next((turn for name, turn in TURNS if name in path.partition("layers.")[2]), 5)
