"""The formulas of peft's methods beside LoRA against traces of peft's own code.

Of a model with a small vocabulary, so that what the methods hold in a layer is what peaks, and not the logits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.memory.trace.agree import agree_on
from tests.memory.trace.cut import cut
from toolkit.facts.models import ModelFacts, model_from_config
from toolkit.spec.settings.adapters import peft_of
from toolkit.spec.settings.setting import Setting, Stack

pytestmark = pytest.mark.reference

EXACT = 0.001
ELSEWHERE = 0.006
MODEL = "meta-llama/Llama-3.2-3B"
WIDELY = ("q_proj", "v_proj", "down_proj")
BOTH = ("input_layernorm", "post_attention_layernorm", "norm")
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "beft": ("beft", {"targets": WIDELY}),
    "c3a": ("c3a", {"targets": WIDELY, "block_size": 64}),
    "deft": ("deft", {"targets": WIDELY}),
    "deft that removes alone": ("deft", {"targets": WIDELY, "para": True}),
    "delora": ("delora", {"targets": WIDELY, "rank": 32}),
    "fourierft": ("fourierft", {"targets": WIDELY}),
    "glora": ("glora", {"targets": WIDELY}),
    "glora of vectors": ("glora", {"targets": WIDELY, "config_a_b": "vector"}),
    "glora of numbers": ("glora", {"targets": WIDELY, "config_a_b": "constant"}),
    "gralora": ("gralora", {"targets": WIDELY}),
    "gralora with a hybrid": ("gralora", {"targets": WIDELY, "hybrid_r": 8}),
    "hira": ("hira", {"targets": WIDELY}),
    "hra": ("hra", {"targets": WIDELY}),
    "ia3": ("ia3", {"targets": ("k_proj", "v_proj", "down_proj")}),
    "lily": ("lily", {"targets": WIDELY, "rank": 64, "stride_a": 2, "num_b": 3}),
    "ln_tuning": ("ln_tuning", {"targets": BOTH}),
    "ln_tuning of one norm": ("ln_tuning", {"targets": BOTH[1:2]}),
    "loha": ("loha", {"targets": WIDELY, "rank": 32}),
    "lokr": ("lokr", {"targets": WIDELY, "rank": 32}),
    "lokr, both factors narrow": ("lokr", {"targets": WIDELY, "rank": 4, "decompose_both": True}),
    "miss": ("miss", {"targets": WIDELY}),
    "miss, sides that are filled up": ("miss", {"targets": WIDELY, "rank": 100}),
    "miss bat": ("miss", {"targets": WIDELY, "rank": 16, "form": "bat"}),
    "miss mini": ("miss", {"targets": WIDELY, "form": "mini", "mini_r": 64}),
    "oft": ("oft", {"targets": WIDELY}),
    "oft by rank": ("oft", {"targets": WIDELY, "rank": 32, "block_size": 0}),
    "oft, one block for all": ("oft", {"targets": WIDELY, "block_share": True}),
    "osf": ("osf", {"targets": WIDELY, "effective_rank": 0.9}),
    "osf, many vectors trained": ("osf", {"targets": WIDELY}),
    "p_tuning": ("p_tuning", {"num_virtual_tokens": 20, "encoder_hidden_size": 2048}),
    "peanut": ("peanut", {"targets": WIDELY}),
    "prompt_tuning": ("prompt_tuning", {"num_virtual_tokens": 200}),
    "psoft": ("psoft", {"targets": WIDELY, "rank": 256}),
    "psoft, a matrix": ("psoft", {"targets": WIDELY, "rank": 64, "psoft_orth": False, "psoft_mag_a": False}),
    "pvera": ("pvera", {"targets": WIDELY}),
    "randlora": ("randlora", {"targets": WIDELY}),
    "road_1": ("road", {"targets": WIDELY}),
    "road_2": ("road", {"targets": WIDELY, "variant": "road_2"}),
    "road_4": ("road", {"targets": WIDELY, "variant": "road_4"}),
    "tinylora": ("tinylora", {"targets": WIDELY, "weight_tying": 0.5}),
    "trainable_tokens": ("trainable_tokens", {"num_tokens": 2}),
    "vblora": ("vblora", {"targets": WIDELY}),
    "vera": ("vera", {"targets": WIDELY}),
}
MODES: dict[str, dict[str, Any]] = {
    "16 bit": {},
    "autocast": {"amp": True},
    "checkpoints under autocast": {"amp": True, "gradient_checkpointing": "non-reentrant"},
    "reentrant checkpoints": {"gradient_checkpointing": "reentrant"},
}


def small(name: str = MODEL, layers: int = 2) -> ModelFacts:
    """A model of the tables with its first layers, and a small vocabulary."""
    facts = cut(name, layers)
    return model_from_config({**dict(facts.config), "vocab_size": 512}, facts.id)


def setting_of(method: str, options: dict[str, Any], model: str = MODEL, **mode: Any) -> Setting:
    weights = mode.pop("weights", "bf16")
    said = {**{f"peft.{name}": value for name, value in options.items()}, "parallel.strategy": "none"}
    peft = peft_of(said, method, Stack(), weights, "bf16")
    assert peft is not None
    return Setting(
        model, method, weights, peft=peft, gradients=peft.dtype, optimizer_states=peft.dtype,
        batch_size=2, sequence_length=1024, **mode,
    )  # fmt: skip


PAIRS = (("16 bit", "checkpoints under autocast"), ("autocast", "reentrant checkpoints"))
CASES = [
    (name, mode)
    for number, name in enumerate(METHODS)
    for mode in (("16 bit", "autocast") if name == "lily" else PAIRS[number % 2])
]
"""Each with two modes: half of them with one pair, half with the other."""


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_a_pass_holds_what_the_trace_sees(name: str, mode: str) -> None:
    method, options = METHODS[name]
    agree_on(setting_of(method, options, **MODES[mode]), small(), peak=EXACT, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("mode", MODES)
def test_adalora_has_the_gradients_of_its_penalty_from_the_first_moment_of_backward(mode: str, dropout: float) -> None:
    """AdaLoraModel.forward adds how far A and B are from orthogonal: their gradients are there before the layers'."""
    setting = setting_of("adalora", {"targets": WIDELY, "dropout": dropout}, **MODES[mode])
    agree_on(setting, small(), peak=EXACT, elsewhere=ELSEWHERE)


def test_gradients_of_a_penalty_wait_beside_earlier_ones() -> None:
    """With accumulation, too: what is there of a micro-batch before is added to when the layers' come."""
    setting = setting_of("adalora", {"targets": WIDELY}, gradient_accumulation=2)
    agree_on(setting, small(), peak=EXACT, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("name", ["beft", "lily", "miss", "oft", "osf", "vera"])
def test_earlier_gradients_are_there_where_they_accumulate(name: str) -> None:
    method, options = METHODS[name]
    agree_on(setting_of(method, options, gradient_accumulation=2), small(), peak=EXACT, elsewhere=ELSEWHERE)


@pytest.mark.parametrize(
    "name", ["deft", "hira", "ia3", "lokr", "ln_tuning", "osf", "prompt_tuning", "road_1", "tinylora", "vera"]
)
def test_other_families_and_float32_weights(name: str) -> None:
    method, options = METHODS[name]
    model = "Qwen/Qwen2.5-1.5B"  # biases, and tied embeddings
    plain = {"stack": Stack("plain")} if method == "osf" else {}  # whose parameters are views, with hooks, as built
    setting = setting_of(method, options, model, weights="fp32", amp=True, **plain)
    agree_on(setting, small(model), peak=EXACT, elsewhere=ELSEWHERE)


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        # "dense" is that of attention, of the feed-forward and of the pooler, which sees one token of each sequence.
        ("google-bert/bert-base-uncased", ("key", "value", "dense")),
        ("distilbert/distilbert-base-uncased", ("k_lin", "v_lin", "lin2")),
    ],
)
@pytest.mark.parametrize("padding", [False, True])
def test_factors_of_an_encoder_beside_a_trained_classifier(model: str, targets: tuple[str, ...], padding: bool) -> None:
    options = {"targets": targets, "feedforward_modules": targets[2:]}
    setting = setting_of(
        "ia3", options, model, weights="fp32", compute="fp32", head="sequence-classification", labels=2,
        padding=padding, stack=Stack("plain"),
    )  # fmt: skip
    agree_on(replace(setting, sequence_length=256), cut(model, 2), peak=EXACT, elsewhere=ELSEWHERE)


def test_rotations_by_butterflies() -> None:
    setting = setting_of("boft", {"targets": ("v_proj",), "block_size": 64}, amp=True)
    agree_on(setting, small(), peak=EXACT, elsewhere=ELSEWHERE)


@pytest.mark.parametrize("method", ["prefix_tuning", "trainable_tokens"])
def test_logits_beside_a_prefix_and_of_a_tied_embedding_with_trained_rows(method: str) -> None:
    options = {"prefix_tuning": {"num_virtual_tokens": 200}, "trainable_tokens": {"num_tokens": 2}}[method]
    agree_on(setting_of(method, options, amp=True), cut(MODEL, 2), peak=EXACT, elsewhere=ELSEWHERE)


def test_a_prefix_is_in_every_layer() -> None:
    """Of more layers the gradients of all prefixes wait for each other."""
    setting = setting_of("prefix_tuning", {"num_virtual_tokens": 500})
    agree_on(setting, small(layers=6), peak=2 * EXACT, elsewhere=ELSEWHERE)
