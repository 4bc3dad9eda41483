"""What methods add, compared with what peft adds to real models without storage."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from dataclasses import replace
from math import prod
from types import ModuleType
from typing import Any

import pytest

from tests.memory.architecture.reference import build
from tests.memory.architecture.samples import small_config
from toolkit.facts.models import model_from_config
from toolkit.memory.architecture import architecture_of
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tuners.methods import ADDS, added, held_bytes
from toolkit.memory.weights.parameters import total_parameters, trainable_parameters
from toolkit.spec.fields.peft_methods import PEFT_METHODS
from toolkit.spec.settings.adapters import peft_of
from toolkit.spec.settings.setting import Setting, Stack

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
adapters = pytest.importorskip("toolkit.memory.trace.adapters")

pytestmark = pytest.mark.reference

FAMILIES = ("llama", "qwen2", "gemma2", "gpt2", "phi")
LINEARS = {
    "gpt2": ("c_attn", "mlp.c_proj"),
    "phi": ("q_proj", "dense", "fc2"),
}
WIDELY = ("q_proj", "v_proj", "down_proj")
NORMS = {"gpt2": ("ln_1", "ln_f"), "phi": ("input_layernorm",)}
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "adamss": [{}, {"rank": 7, "num_subspaces": 4}],
    "adaption_prompt": [{"adapter_len": 10, "adapter_layers": 1}],
    "boft": [{"block_size": 4}, {"block_size": 8}],
    "c3a": [{"block_size": 8}],
    "deft": [{}, {"rank": 5, "para": True}, {"rank": 100_000}, {"rank": 0}],
    "glora": [
        {},
        {"rank": 3, "config_a_b": "vector", "config_c": "vector", "config_d_e": "vector"},
        {"config_a_b": "constant", "config_c": "none", "config_d_e": "none"},
        {"config_a_b": "none"},
    ],
    "gralora": [{"rank": 8}, {"rank": 8, "gralora_k": 4, "hybrid_r": 3}],
    "ia3": [{}, {"feedforward_modules": ("none_of_them",)}],
    "lily": [{}, {"rank": 5, "stride_a": 2, "num_b": 3}, {"rank": 0}],
    "loha": [{}, {"rank": 3}],
    "lokr": [
        {},
        {"rank": 2, "decompose_both": True},
        {"decompose_factor": 8, "rank": 4},
        {"decompose_factor": 7, "decompose_both": True, "rank": 1},
        {"rank": 512},
    ],
    "miss": [{}, {"rank": 8, "form": "bat"}, {"rank": 16, "form": "mini", "mini_r": 8}],
    "oft": [{}, {"rank": 8, "block_size": 0}, {"rank": 7, "block_size": 0}, {"block_share": True, "block_size": 60}],
    "osf": [
        {},
        {"effective_rank": 8},
        {"effective_rank": 0.25, "rank_pattern": ("layers.1.mlp=3", "v_proj=0.75", "q_pro=1")},
        {"effective_rank": 100_000},
        {"rank_pattern": ("q_proj=0.001",)},
    ],
    "p_tuning": [{"num_virtual_tokens": 20}, {"num_virtual_tokens": 5, "encoder_hidden_size": 24}],
    "prefix_tuning": [
        {"num_virtual_tokens": 20},
        {"num_virtual_tokens": 5, "prefix_projection": True, "encoder_hidden_size": 24},
        {"num_virtual_tokens": 5, "prefix_projection": True},
    ],
    "prompt_tuning": [{"num_virtual_tokens": 20}],
    "psoft": [
        {"rank": 8},
        {"rank": 8, "psoft_orth": False},
        {"rank": 3, "psoft_mag_a": False, "psoft_svd": "lowrank"},
        {"rank": 4, "psoft_mag_b": False, "ab_svd_init": "pissa_init"},
        {"rank": 1},
        {"rank": 0},
        {"rank": 100_000},
    ],
    "pvera": [{}, {"rank": 5}],
    "randlora": [{}, {"rank": 7}],
    "road": [{}, {"variant": "road_2"}, {"variant": "road_4"}],
    "shira": [{}, {"rank": 4}],
    "tinylora": [
        {},
        {"u": 5, "weight_tying": 0.25},
        {"u": 3, "weight_tying": 0.6, "rank": 4},
        {"weight_tying": 1.0, "rank": 100_000},
        {"rank": 0},
    ],
    "trainable_tokens": [{"num_tokens": 3}],
    "unilora": [{}, {"rank": 3, "theta_d_length": 7}, {"rank": 0}],
    "vblora": [{"vector_length": 16, "num_vectors": 40}],
    "vera": [{}, {"rank": 5}],
}
TINY = {
    **small_config("llama"),
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
}
VALUED = ("adamss", "shira")
"""Methods that look at the values of weights."""
CASES = [
    (family, method, options)
    for method in PEFT_METHODS
    for family in FAMILIES
    for options in OPTIONS.get(method, [{}])
    if (method not in VALUED or family in ("llama", "qwen2")) and (method, family) != ("osf", "gpt2")
]
CASES += [
    (family, method, options)
    for method in ("p_tuning", "prefix_tuning", "prompt_tuning")
    for family in ("t5", "bart")
    for options in OPTIONS[method]
]
"""Of GPT-2's Conv1D OSF leaves all as it is, and says nothing."""


def setting_of(family: str, method: str, options: dict[str, Any]) -> Setting:
    known = PEFT_METHODS[method]
    said: dict[str, Any] = {f"peft.{name}": value for name, value in options.items()}
    if known.on == "linears":
        said["peft.targets"] = LINEARS.get(family, WIDELY)
    elif known.on == "norms":
        said["peft.targets"] = NORMS.get(family, ("input_layernorm", "norm"))
    said["parallel.strategy"] = "none"
    peft_setting = peft_of(said, method, Stack(), "bf16", "bf16")
    return Setting("", method, "bf16", peft=peft_setting)


@pytest.fixture(autouse=True)
def clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    """AdaMSS asks scikit-learn for clusters: these are of one row, of two, of three, and so on."""

    class KMeans:
        def __init__(self, n_clusters: int, **_: Any) -> None:
            self.count = n_clusters

        def fit_predict(self, rows: Any) -> Any:
            return numpy.array([min(int((2 * row) ** 0.5), self.count - 1) for row in range(len(rows))])

    package, inner = ModuleType("sklearn"), ModuleType("sklearn.cluster")
    vars(inner)["KMeans"] = KMeans
    monkeypatch.setitem(sys.modules, "sklearn", package)
    monkeypatch.setitem(sys.modules, "sklearn.cluster", inner)


@pytest.mark.parametrize(("family", "method", "options"), CASES)
def test_what_is_added_is_what_peft_adds(family: str, method: str, options: dict[str, Any]) -> None:
    config = small_config(family)
    architecture = architecture_of(model_from_config(config, family), "causal-lm", 0)
    setting = setting_of(family, method, options)
    model = build(architecture.class_name, config)
    if method in VALUED:
        model.to_empty(device="cpu").tie_weights()
        for weight in model.parameters():
            weight.data.normal_()
    before = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapted = peft.get_peft_model(model, adapters.config_of(setting, family))
    except (KeyError, NotImplementedError, TypeError, ValueError):
        with pytest.raises(UnsupportedRow):
            list(added(architecture, setting))
        return
    trained = Counter(tuple(part.shape) for part in adapted.parameters() if part.requires_grad)
    ours = list(added(architecture, setting))
    if method == "adamss":  # whose clusters have as many numbers together as the weights have rows
        trained = Counter({"numbers": sum(prod(shape) * many for shape, many in trained.items())})
        whole = Counter({"numbers": sum(one.elements for one in ours if one.trained)})
    else:
        whole = counted(ours, trained=True)
    assert whole == trained
    assert trainable_parameters(architecture, setting) == adapted.get_nb_trainable_parameters()[0]
    assert total_parameters(architecture, setting) == adapted.get_nb_trainable_parameters()[1]
    held = Counter(tuple(part.shape) for part in adapted.buffers() if id(part) not in before)
    if method != "shira":  # whose indices are no buffers
        assert counted(ours, trained=False) == held


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("psoft", {"rank": 8}),
        ("psoft", {"rank": 8, "psoft_svd": "lowrank"}),
        ("psoft", {"rank": 8, "ab_svd_init": "pissa_init", "psoft_orth": False}),
        ("tinylora", {"u": 5, "weight_tying": 0.5}),
        ("vera", {"rank": 5}),
        ("pvera", {"rank": 5}),
        ("unilora", {"rank": 5}),
        ("glora", {}),
        ("glora", {"config_a_b": "none"}),
        ("osf", {"effective_rank": 8}),
    ],
)
def test_storages_of_what_is_kept_on_a_gpu(method: str, options: dict[str, Any]) -> None:
    """Tensors without storage are laid out as on a GPU, so that a view there is a view here."""
    config = TINY
    architecture = architecture_of(model_from_config(config, "llama"), "causal-lm", 0)
    setting = replace(setting_of("llama", method, options), stack=Stack("plain"))
    model = build(architecture.class_name, config).bfloat16()
    before = {id(tensor) for tensor in model.buffers()}
    adapted = put_on(model, setting)
    kept = [part.untyped_storage() for part in adapted.buffers() if id(part) not in before]
    assert held_bytes(architecture, setting) == sum({one._cdata: one.nbytes() for one in kept}.values())


@pytest.mark.parametrize("weights", ["bf16", "fp32"])
def test_storages_of_what_osf_trains_and_keeps(weights: str) -> None:
    """Of 32-bit weights what is trained is a view, so that what it is part of stays."""
    architecture = architecture_of(model_from_config(TINY, "llama"), "causal-lm", 0)
    setting = replace(setting_of("llama", "osf", {"effective_rank": 8}), weights=weights, stack=Stack("plain"))
    model = build(architecture.class_name, TINY).to(getattr(torch, {"bf16": "bfloat16", "fp32": "float32"}[weights]))
    before = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    adapted = put_on(model, setting)
    found = [part.untyped_storage() for part in (*adapted.parameters(), *adapted.buffers()) if id(part) not in before]
    held = held_bytes(architecture, setting) + 4 * trainable_parameters(architecture, setting)
    assert held == sum({one._cdata: one.nbytes() for one in found}.values())


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("psoft", {"rank": 8}),
        ("psoft", {"rank": 8, "psoft_svd": "lowrank"}),
        ("tinylora", {"rank": 3}),
        ("osf", {"effective_rank": 0.25}),
        ("adamss", {"rank": 9}),
    ],
)
def test_what_a_trainer_moves_of_what_is_kept(method: str, options: dict[str, Any]) -> None:
    """Factors of real weights in main memory: each tensor is moved by itself, without what it is a view of."""
    config = TINY
    architecture = architecture_of(model_from_config(config, "llama"), "causal-lm", 0)
    setting = setting_of("llama", method, options)
    model = build(architecture.class_name, config).to_empty(device="cpu").bfloat16()
    for weight in model.parameters():
        weight.data.normal_()
    before = {id(tensor) for tensor in model.buffers()}
    adapted = put_on(model, setting)
    kept = sum(part.numel() * part.element_size() for part in adapted.buffers() if id(part) not in before)
    assert held_bytes(architecture, setting) == kept


def put_on(model: Any, setting: Setting) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peft.get_peft_model(model, adapters.config_of(setting, "llama"))


def counted(ours: list[Any], *, trained: bool) -> Counter[tuple[int, ...]]:
    shapes: Counter[tuple[int, ...]] = Counter()
    for one in ours:
        if one.trained is trained:
            shapes[one.shape] += one.count
    return shapes


def test_every_method_has_a_rule_and_a_config() -> None:
    assert set(ADDS) == set(PEFT_METHODS) == set(adapters.CLASSES)
