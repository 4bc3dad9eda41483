"""Operators that stand for CUDA's: sizes from PyTorch's sources, and refusals where values decide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from toolkit.memory.trace.recorder import Recorder  # noqa: E402
from toolkit.memory.trace.refusal import UnsupportedTrace  # noqa: E402
from toolkit.memory.trace.stand_ins.on_gpu import OnGpu  # noqa: E402

pytestmark = pytest.mark.reference


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_grouped_product_has_rows_of_whole_16_bytes(dtype: torch.dtype) -> None:
    """CUDA takes three dtypes and pads the rows of its result (GroupedMMUtils.h); the last one ends where it ends."""
    unit = 16 // dtype.itemsize
    with Recorder(0) as recorder, torch.device("meta"):
        rows, weights = torch.empty(24, 32, dtype=dtype), torch.empty(4, 32, 5 * unit + 1, dtype=dtype)
        out = torch.nn.functional.grouped_mm(rows, weights, offs=torch.empty(4, dtype=torch.int32))
        made = recorder.timeline.allocations[recorder.index(out) or 0]
    assert out.shape == (24, 5 * unit + 1)
    assert made.bytes == (23 * 6 * unit + 5 * unit + 1) * dtype.itemsize


def test_the_gradient_of_grouped_weights_is_as_large_as_they_are() -> None:
    with Recorder(0), torch.device("meta"):
        rows = torch.empty(24, 32, requires_grad=True)
        weights = torch.empty(4, 32, 64, requires_grad=True)
        out = torch.nn.functional.grouped_mm(rows, weights, offs=torch.empty(4, dtype=torch.int32))
        torch.autograd.backward([out.sum()])
    assert rows.grad is not None
    assert weights.grad is not None
    assert (rows.grad.shape, weights.grad.shape) == (rows.shape, weights.shape)


def test_what_goes_by_values_is_refused_with_its_operator() -> None:
    with Recorder(0), torch.device("meta"):
        several = torch.empty(3)
        with pytest.raises(UnsupportedTrace, match="_local_scalar_dense"):
            several.sum().item()
        with pytest.raises(UnsupportedTrace, match="nonzero"):
            torch.empty(2, 2).nonzero()
        with pytest.raises(UnsupportedTrace, match="unique_consecutive"):
            torch.unique_consecutive(several)


def test_counters_on_the_host_keep_their_values() -> None:
    with Recorder(0), torch.device("meta"):
        assert torch.tensor(3.0, device="cpu").item() == 3.0


def test_every_example_has_a_label() -> None:
    with Recorder(0), torch.device("meta"):
        assert (torch.empty(5) >= 0).nonzero().shape == (5, 1)


def test_no_prompt_has_padding() -> None:
    with OnGpu(), Recorder(0), torch.device("meta"):
        assert 0 not in torch.empty(2, 3, dtype=torch.long)


def test_a_mask_that_picks_all_copies_rows_and_writes_positions_out() -> None:
    """By a mask of 2 x 3: 6 rows of 8 floats, and meanwhile two int64 for each position."""
    with Recorder(0) as recorder, torch.device("meta"):
        recorder.selects_all = True
        states, mask = torch.empty(2, 3, 8, requires_grad=True), torch.empty(2, 3, dtype=torch.bool)
        start = len(recorder.timeline.allocations)
        picked = states[mask]
        sizes = [one.bytes for one in recorder.timeline.allocations[start:]]
        assert picked.shape == (6, 8)
        assert sizes == [6 * 2 * 8, 6 * 8 * 4]
        torch.autograd.backward([picked.sum()])
    assert states.grad is not None
    assert states.grad.shape == states.shape


def test_a_mask_is_refused_where_it_may_pick_some() -> None:
    with Recorder(0), torch.device("meta"), pytest.raises(UnsupportedTrace, match="by a mask"):
        torch.empty(2, 3, 8)[torch.empty(2, 3, dtype=torch.bool)]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_has_the_second_half_of_a_loss_in_float32(dtype: torch.dtype) -> None:
    """Of 16-bit logits: their logarithms, a float32 copy of these, and after the loss a gradient of each."""
    on_gpu = OnGpu()
    with on_gpu, Recorder(0) as recorder, torch.device("meta"), on_gpu.region(dtype):
        logits = torch.empty(64, 1024, dtype=dtype, requires_grad=True)
        start = len(recorder.timeline.allocations)
        loss = torch.nn.functional.cross_entropy(logits, torch.empty(64, dtype=torch.long))
        sizes = [one.bytes for one in recorder.timeline.allocations[start:] if one.bytes > 4096]
        torch.autograd.backward([loss])
    each = 64 * 1024
    assert sizes == [each * 2, each * 4]
    assert logits.grad is not None
    assert logits.grad.dtype == dtype


def test_autocast_of_the_installed_torch_does_not_know_cross_entropy() -> None:
    """Its lists: nll_loss is run in float32, log_softmax where no dtype is named, and cross-entropy is on none."""
    header = Path(torch.__file__).parent / "include" / "ATen" / "autocast_mode.h"
    text = header.read_text(encoding="utf-8")
    listed = {
        name: re.findall(r"_\((\w+)", body)
        for name, body in re.findall(r"#define (AT_FORALL_FP32\w*)\(_\)((?:.*\\\n)+)", text)
    }
    assert not [name for name, has in listed.items() if "cross_entropy_loss" in has]
    assert "nll_loss" in listed["AT_FORALL_FP32"]
    assert "log_softmax" in listed["AT_FORALL_FP32_SET_OPT_DTYPE"]
