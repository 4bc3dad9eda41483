"""The recorder counts what a GPU's allocator would be asked for: small programs, bytes by hand."""

from __future__ import annotations

import gc
from collections import Counter

import pytest

torch = pytest.importorskip("torch")

from toolkit.memory.timeline.timeline import Stage, Timeline  # noqa: E402
from toolkit.memory.trace.recorder import Recorder  # noqa: E402
from toolkit.memory.trace.stand_ins.on_gpu import OnGpu  # noqa: E402

pytestmark = pytest.mark.reference

WORKSPACE = 4096
ROWS, WIDTH = 64, 128
STATES = ROWS * WIDTH * 4
WEIGHT = WIDTH * WIDTH * 4


def backward(loss: torch.Tensor) -> None:
    torch.autograd.backward([loss])


def test_a_storage_lives_until_its_last_view_goes() -> None:
    with Recorder(0) as recorder, torch.device("meta"):
        recorder.timeline.mark("run")
        whole = torch.empty(ROWS, WIDTH)
        view = whole[0]
        del whole
        assert len(recorder.timeline.alive(len(recorder.timeline.events) - 1)) == 1
        del view
        assert recorder.timeline.alive(len(recorder.timeline.events) - 1) == set()


def test_each_thread_that_multiplies_takes_one_workspace() -> None:
    with Recorder(WORKSPACE) as recorder, torch.device("meta"):
        weight = torch.empty(WIDTH, WIDTH, requires_grad=True)
        states = torch.empty(ROWS, WIDTH) @ weight @ weight
        backward(states.sum())
    taken = [one.bytes for one in recorder.timeline.allocations if one.operation == "cublas_workspace"]
    assert taken == [WORKSPACE, WORKSPACE]


def test_dropout_asks_for_its_mask_before_its_result() -> None:
    """As dropout_cuda does (aten/src/ATen/native/cuda/Dropout.cu); its results are in the other order."""
    with Recorder(0) as recorder, torch.device("meta"):
        states = torch.empty(ROWS, WIDTH)
        kept = torch.native_dropout(states, 0.5, True)
        made = [one.bytes for one in recorder.timeline.allocations]
    assert [part.element_size() for part in kept] == [4, 1]
    assert made == [STATES, ROWS * WIDTH, STATES]


def test_autograd_adds_a_second_gradient_in_place() -> None:
    """x feeds two products: their gradients to x are two storages, and the sum is in the first of them."""
    with Recorder(0) as recorder, torch.device("meta"):
        first, second = (torch.empty(WIDTH, WIDTH) for _ in range(2))
        x = torch.empty(ROWS, WIDTH, requires_grad=True)
        y = x * 1  # x itself is a leaf, whose gradients are accumulated by another rule
        out = (y @ first).exp().sum() + (y @ second).exp().sum()  # a sum's gradient alone is one number, spread out
        recorder.timeline.mark("backward")
        backward(out)
    assert _made(recorder.timeline, "backward", STATES) == {"aten::mm": 2, "aten::mul.Tensor": 3}


def test_a_gradient_that_is_one_number_spread_out_is_written_out_for_a_product() -> None:
    """cuBLAS takes no stride of 0 (ATen native/cuda/Blas.cpp, prepare_matrix_for_cublas): it is copied."""
    with Recorder(0) as recorder, torch.device("meta"):
        x = torch.empty(ROWS, WIDTH, requires_grad=True)
        out = ((x * 1) @ torch.empty(WIDTH, WIDTH)).sum()
        recorder.timeline.mark("backward")
        backward(out)
    assert _made(recorder.timeline, "backward", STATES)["aten::mm"] == 2


def test_a_gradient_that_shares_its_storage_is_not_added_to_in_place() -> None:
    """A view's gradient comes back as a view, whose base holds the storage too: the sum is a storage of its own."""
    with Recorder(0) as recorder, torch.device("meta"):
        x = torch.empty(ROWS, WIDTH, requires_grad=True)
        y = x * 1
        squared = (y * y).sum()  # arrives last, when the view's gradient is there
        folded = y.view(2, ROWS // 2, WIDTH).exp().sum()
        recorder.timeline.mark("backward")
        backward(squared + folded)
    assert _made(recorder.timeline, "backward", STATES)["aten::add.Tensor"] == 1


def test_backward_knows_the_module_that_it_is_of() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH, device="meta"), torch.nn.GELU())
    with Recorder(0) as recorder, torch.device("meta"), recorder.paths.watching():
        recorder.paths.name(model)
        backward(model(torch.empty(ROWS, WIDTH)).sum())
        gc.collect()
    places = {(one.operation, one.module) for one in recorder.timeline.allocations if one.stage is Stage.BACKWARD}
    assert ("aten::gelu_backward", "1") in places
    assert ("aten::mm", "0") in places


def test_dropout_keeps_a_mask_of_one_byte() -> None:
    with OnGpu(), Recorder(0) as recorder, torch.device("meta"):
        x = torch.empty(ROWS, WIDTH, requires_grad=True)
        out = torch.nn.functional.dropout(x, 0.1)
        alive = recorder.timeline.alive(len(recorder.timeline.events) - 1)
        sizes = sorted(recorder.timeline.allocations[index].bytes for index in alive)
    assert sizes == [ROWS * WIDTH, STATES, STATES]
    del out


def test_autocast_casts_a_parameter_once_and_until_its_region_ends() -> None:
    mode = OnGpu()
    with mode, Recorder(0) as recorder, torch.device("meta"):
        weight = torch.empty(WIDTH, WIDTH, requires_grad=True)
        x = torch.empty(ROWS, WIDTH, dtype=torch.bfloat16)
        with torch.no_grad():
            with mode.region(torch.bfloat16):
                first, second = (torch.nn.functional.linear(x, weight) for _ in range(2))
                assert first.dtype is second.dtype is torch.bfloat16
            alive = recorder.timeline.alive(len(recorder.timeline.events) - 1)
    casts = [one for one in recorder.timeline.allocations if one.bytes == WEIGHT // 2]
    assert len(casts) == 1
    assert recorder.timeline.allocations.index(casts[0]) not in alive


def test_attention_takes_the_kernel_that_a_gpu_would_take() -> None:
    def saved(dtype: torch.dtype, *, masked: bool) -> set[str]:
        with OnGpu(), Recorder(0) as recorder, torch.device("meta"):
            parts = [torch.empty(1, 4, ROWS, 32, dtype=dtype, requires_grad=True) for _ in range(3)]
            mask = torch.empty(1, 1, ROWS, ROWS, dtype=dtype) if masked else None
            torch.nn.functional.scaled_dot_product_attention(*parts, attn_mask=mask, is_causal=not masked)
        return {one.operation for one in recorder.timeline.allocations if "attention" in one.operation}

    assert saved(torch.bfloat16, masked=False) == {"aten::_scaled_dot_product_flash_attention"}
    assert saved(torch.bfloat16, masked=True) == {"aten::_scaled_dot_product_efficient_attention"}
    assert saved(torch.float32, masked=False) == {"aten::_scaled_dot_product_efficient_attention"}


def _made(timeline: Timeline, phase: str, size: int) -> Counter[str]:
    """How many storages of a size each operation made from a phase on."""
    start = next(event for event, name in timeline.marks if name == phase)
    made = (timeline.allocations[change - 1] for change in timeline.events[start:] if change > 0)
    return Counter(one.operation for one in made if one.bytes == size)
