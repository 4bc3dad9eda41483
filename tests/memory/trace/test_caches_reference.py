"""Static and quantized caches: formulas against traces, and their rows against tensors that really are there."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch
import transformers

from tests.memory.trace.agree import agree
from tests.memory.trace.cut import cut
from toolkit.facts.models import model_from_config
from toolkit.memory.estimate import estimate
from toolkit.memory.ledger import Category, PhaseName
from toolkit.memory.trace import caches
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.trace import trace
from toolkit.spec.settings.setting import Cache, Setting

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not transformers.__version__.startswith("5.23"), reason="caches as they are in 5.23"),
]

LLAMA, QWEN = "huggyllama/llama-7b", "Qwen/Qwen2.5-0.5B"
FP8 = Cache("quantized", backend="fp8")
HERE = {"quanto": "optimum.quanto", "hqq": "hqq"}


def _groups(backend: str, nbits: int = 4, residual: int = 16, axes: tuple[int, int] = (0, 0)) -> Cache:
    return Cache("quantized", None, backend, nbits, *axes, 64, residual)


CASES: dict[str, tuple[str, int, Cache, dict[str, Any]]] = {
    "static": (QWEN, 3, Cache("static"), {}),
    "static, longer, eagerly": (QWEN, 3, Cache("static", 2048), {"attention": "eager"}),
    "static, a head for each query, eagerly": (LLAMA, 2, Cache("static", 700), {"attention": "eager"}),
    "static, longer": (LLAMA, 2, Cache("static", 2048), {}),
    "static, full windows": ("google/gemma-3-270m", 6, Cache("static"), {"sequence_length": 704, "batch_size": 1}),
    "static, one projection": ("openai-community/gpt2", 3, Cache("static"), {}),
    "static, experts": ("mistralai/Mixtral-8x7B-v0.1", 1, Cache("static"), {"batch_size": 1}),
    "fp8": (LLAMA, 2, FP8, {}),
    "fp8, few heads": (QWEN, 3, FP8, {}),
    "quanto": (LLAMA, 2, _groups("quanto"), {}),
    "quanto, 2 bits": (QWEN, 3, _groups("quanto", 2), {}),
    "quanto, along the last axis": (LLAMA, 2, _groups("quanto", axes=(-1, -1)), {}),
    "quanto, keys alone along the last axis": (LLAMA, 2, _groups("quanto", axes=(-1, 0)), {}),
    "quanto, nothing packed anew": (LLAMA, 2, _groups("quanto", residual=128), {"attention": "eager"}),
    "quanto, packed anew with the last token": (LLAMA, 2, _groups("quanto"), {"generated_length": 33}),
    "quanto, one projection": ("openai-community/gpt2", 3, _groups("quanto"), {}),
    "hqq": (LLAMA, 2, _groups("hqq"), {}),
    "hqq, 3 bits": (LLAMA, 2, _groups("hqq", 3), {"generated_length": 17}),
    "hqq, 8 bits": (QWEN, 3, _groups("hqq", 8), {"generated_length": 17}),
}


def _needed(cache: Cache) -> None:
    if cache.backend in HERE:
        pytest.importorskip(HERE[cache.backend])


@pytest.mark.parametrize(("name", "layers", "cache", "fields"), CASES.values(), ids=CASES)
def test_a_formula_gives_what_the_trace_sees(name: str, layers: int, cache: Cache, fields: dict[str, Any]) -> None:
    _needed(cache)
    given = {"method": "inference", "weights": "bf16", "batch_size": 2, "sequence_length": 512, "generated_length": 40}
    agree(Setting(**{"model": name, "cache": cache, **given, **fields}), layers, peak=0.0006, elsewhere=0.0035)


CONFIG = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "max_position_embeddings": 512,
}
WINDOWED = {**CONFIG, "model_type": "mistral", "sliding_window": 24}
PROMPT, ANSWER = 48, 40
REAL: dict[str, tuple[dict[str, Any], Cache | None]] = {
    "dynamic": (CONFIG, None),
    "static": (CONFIG, Cache("static")),
    "static, longer": (CONFIG, Cache("static", 200)),
    "static, a window": (WINDOWED, Cache("static")),
    "fp8": (CONFIG, FP8),
    "quanto": (CONFIG, _groups("quanto")),
    "quanto, 2 bits": (CONFIG, _groups("quanto", 2, 128)),
    "hqq": (CONFIG, _groups("hqq")),
    "hqq, 3 bits": (CONFIG, _groups("hqq", 3)),
}


@pytest.mark.parametrize(("config", "cache"), REAL.values(), ids=REAL)
def test_the_row_is_what_generate_leaves_in_its_cache(config: dict[str, Any], cache: Cache | None) -> None:
    """Real tensors of transformers' own generate(), with its own arguments, on a CPU."""
    made = transformers.AutoConfig.for_model(**config)
    model = transformers.AutoModelForCausalLM.from_config(made, dtype=torch.bfloat16).eval()
    given: dict[str, Any] = {}
    if cache is not None:
        _needed(cache)
        given["cache_implementation"] = cache.implementation
        if cache.max_cache_len:
            given["max_cache_len"] = cache.max_cache_len
        if cache.backend:
            options = {name: getattr(cache, name) for name in caches.OPTIONS if getattr(cache, name) is not None}
            given["cache_config"] = {"backend": cache.backend, **options}
    ids = torch.randint(1, 128, (2, PROMPT))
    out = model.generate(
        ids, min_new_tokens=ANSWER, max_new_tokens=ANSWER, do_sample=False, return_dict_in_generate=True,
        pad_token_id=0, **given,
    )  # fmt: skip
    parts = list(caches.parts_of(out.past_key_values))
    setting = Setting(
        "tiny", "inference", "bf16", batch_size=2, sequence_length=PROMPT, generated_length=ANSWER, cache=cache
    )
    decode = estimate(setting, model_from_config(config, "tiny")).ledger.phase(PhaseName.DECODE)
    assert decode is not None
    row = sum(one.bytes for one in decode.rows if one.category is Category.KV_CACHE)
    assert sum(part.nbytes for part in parts) == row


def test_a_backend_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "_installed", lambda _: False)
    setting = Setting(QWEN, "inference", "bf16", generated_length=3, cache=_groups("hqq"))
    with pytest.raises(UnsupportedTrace, match="hqq backend of quantized caches is not installed: pip install hqq"):
        trace(setting, cut(QWEN, 2), whole=True)


def test_transformers_itself_refuses_to_quantize_windows() -> None:
    setting = Setting("google/gemma-3-270m", "inference", "bf16", generated_length=3, cache=FP8)
    with pytest.raises(UnsupportedTrace, match="only supported for models with only full attention"):
        trace(setting, cut("google/gemma-3-270m", 6), whole=True)


def test_layers_and_steps_that_are_left_out_are_those_that_are_alike() -> None:
    """A trace of few layers and steps gives what one of all gives."""
    setting = Setting(QWEN, "inference", "bf16", sequence_length=64, generated_length=60, cache=Cache("static"))
    model = cut(QWEN, 20)
    few, every = trace(setting, model), trace(setting, model, whole=True)
    assert few.how != every.how
    assert few.ledger == every.ledger
