"""Names that moved are found under each of their names, and stand-ins for compiled packages change nothing else."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from torch import nn

from toolkit.memory.trace import releases
from toolkit.memory.trace.refusal import UnsupportedTrace
from toolkit.memory.trace.stand_ins import old_kernels
from toolkit.memory.trace.stand_ins.old_kernels import flash_attn_func, library_uncalled, positions_unread

pytestmark = pytest.mark.reference


def test_a_cache_is_read_in_its_three_forms() -> None:
    keys, values = [torch.zeros(1), torch.zeros(2)], [torch.zeros(3), torch.zeros(4)]
    pairs = list(zip(keys, values, strict=True))
    layers = SimpleNamespace(layers=[SimpleNamespace(keys=key, values=value) for key, value in pairs])
    lists = SimpleNamespace(key_cache=keys, value_cache=values)
    for cache in (layers, lists, tuple(pairs)):
        assert sorted(part.numel() for part in releases.cache_parts(cache)) == [1, 2, 3, 4]
    assert list(releases.cache_parts(None)) == []


def test_the_last_logits_are_asked_for_by_the_name_that_a_model_knows() -> None:
    class New(nn.Module):
        def forward(self, ids: Any, logits_to_keep: int = 0, num_logits_to_keep: int = 0) -> None: ...

    class Newish(nn.Module):
        def forward(self, ids: Any, num_logits_to_keep: int = 0) -> None: ...

    class Old(nn.Module):
        def forward(self, ids: Any) -> None: ...

    asked = [releases.last_logits_alone(model) for model in (New(), Newish(), Old())]
    assert asked == [{"logits_to_keep": 1}, {"num_logits_to_keep": 1}, {}]


def test_old_models_keep_parts_in_float32_where_they_are_stored_in_float16() -> None:
    model = SimpleNamespace(_keep_in_fp32_modules=["wo"])
    (pattern,) = releases.dtype_plan(model, torch.float16)
    assert re.search(pattern, "layer.wo.weight")
    assert not re.search(pattern, "layer.two.weight")
    assert releases.dtype_plan(model, torch.bfloat16) == {}
    assert releases.dtype_plan(SimpleNamespace(_keep_in_fp32_modules=None), torch.float16) == {}


@pytest.mark.parametrize(
    ("said", "flash"),
    [({"_supports_flash_attn": True}, True), ({"_supports_flash_attn_2": True}, True), ({}, False),
     ({"_supports_flash_attn": False, "_supports_flash_attn_2": True}, False)],
)  # fmt: skip
def test_flash_is_known_under_both_names(said: dict[str, bool], flash: bool) -> None:
    assert releases.supports_flash(SimpleNamespace(**said)) is flash


def test_a_config_may_be_that_of_its_text() -> None:
    plain = SimpleNamespace()
    assert releases.text_config(plain) is plain
    inner = SimpleNamespace()
    assert releases.text_config(SimpleNamespace(get_text_config=lambda: inner)) is inner


def test_the_stand_in_attends_as_attention_does() -> None:
    q, k, v = torch.randn(2, 5, 4, 8), torch.randn(2, 5, 2, 8), torch.randn(2, 5, 2, 8)
    out = flash_attn_func(q, k, v, causal=True)
    scores = torch.einsum("blhd,bmhd->bhlm", q, k.repeat_interleave(2, 2)) / 8**0.5
    scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), float("-inf")).softmax(-1)
    expected = torch.einsum("bhlm,bmhd->blhd", scores, v.repeat_interleave(2, 2))
    assert torch.allclose(out, expected, atol=1e-5)


def test_only_the_largest_position_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def rotary(positions: Any, length: int) -> int:
        rotary_seq_len = max(length, positions.max().item())
        return rotary_seq_len + 1

    def other(values: Any) -> Any:
        return values.max().item()

    monkeypatch.setattr(old_kernels, "registers_attention", lambda: False)
    meta = torch.zeros(3, dtype=torch.long, device="meta")
    before = torch.Tensor.item
    with positions_unread():
        assert rotary(meta, 7) == 8
        assert rotary(torch.tensor([9]), 7) == 10
        with pytest.raises(RuntimeError):
            other(meta)
    assert torch.Tensor.item is before


def test_a_library_that_is_called_directly_allocates_and_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    functional = SimpleNamespace(lib=None, get_ptr=id, is_on_gpu=lambda _: False, other=5)
    monkeypatch.setattr(old_kernels, "calls_its_library", lambda: True)
    monkeypatch.setattr(old_kernels, "import_module", lambda _: functional)
    before = dict(vars(functional))
    with library_uncalled():
        functional.lib.cdequantize_blockwise_fp16_nf4(functional.get_ptr(3), 64)
        assert functional.is_on_gpu([]) is True
        assert functional.other == 5
        assert not hasattr(functional, "pre_call")
    assert vars(functional) == before


def test_padded_rows_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedTrace, match="padded or packed rows"):
        old_kernels._padded()
