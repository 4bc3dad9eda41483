"""What a GPU is asked, where torch's own calls are stood in for: only their answers are not CUDA's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from tests.memory.measure.accounting import AccountingDevice
from tests.memory.measure.jobs import job
from toolkit.memory.measure import cuda, stopwatch
from toolkit.memory.measure.cuda import Cuda
from toolkit.memory.measure.gpu import SeenGpu
from toolkit.memory.measure.run import measure

GIB = 1 << 30
SMI = SeenGpu("NVIDIA H100 80GB HBM3", 80 * GIB, 3 * GIB, "580.1")


class OutOfMemoryError(RuntimeError):
    pass


class StandIn(Cuda):
    """The code for CUDA on CPU tensors."""

    kind = "cpu"


class NVMLError(Exception):
    pass


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """torch.cuda with the answers of an accounting device, which is entered; notes what was called."""
    noted: list[str] = []
    device = AccountingDevice()

    def stats() -> dict[str, int]:
        seen = device.counters()
        peaks = dict.fromkeys(("allocated", "requested", "active"), seen.allocated) | {"reserved": seen.reserved}
        return {
            **{f"{name}_bytes.all.peak": value for name, value in peaks.items()},
            **{f"{name}_bytes.all.current": seen.now for name in ("allocated", "requested", "active")},
            "reserved_bytes.all.current": seen.reserved_now,
            "num_alloc_retries": 2,
        }

    def note(name: str, answer: Any) -> Any:
        def called(*arguments: Any) -> Any:
            noted.append(f"{name}{arguments}")
            return answer() if callable(answer) else answer

        return called

    properties = SimpleNamespace(name=SMI.name, major=9, minor=0, total_memory=79 * GIB)
    for name, answer in {
        "set_device": None, "synchronize": None, "empty_cache": None, "reset_peak_memory_stats": device.reset_peaks,
        "memory_stats": stats, "mem_get_info": (75 * GIB, 79 * GIB), "get_device_properties": properties,
    }.items():  # fmt: skip
        assert callable(getattr(torch.cuda, name))
        monkeypatch.setattr(torch.cuda, name, note(name, answer))
    monkeypatch.setattr(torch.cuda, "OutOfMemoryError", OutOfMemoryError)
    monkeypatch.setattr(stopwatch, "ROUNDS", 1)

    def driver(_: str) -> SeenGpu:
        """The card before there is a context, and with one of 400 MiB."""
        started = any(call.startswith("set_device") for call in noted)
        more = (400 << 20) + device.counters().reserved_now if started else 0
        return SeenGpu(SMI.name, SMI.total, SMI.used + more, SMI.driver)

    monkeypatch.setattr(cuda, "ask_driver", driver)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with device:
        yield noted


def nvml(monkeypatch: pytest.MonkeyPatch, **functions: Any) -> ModuleType:
    """An NVML with these functions."""
    module = ModuleType("pynvml")
    for name, function in {"nvmlInit": lambda: None, "NVMLError": NVMLError, **functions}.items():
        setattr(module, name, function)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return module


@pytest.mark.reference
def test_a_whole_measurement_by_the_calls_of_cuda(calls: list[str]) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("peft")
    found = measure(job(sequence_length=8), StandIn())
    assert found["kind"] == "measured"
    assert found["retries"] == 2
    assert found["context"] == 400 << 20
    assert found["device"] == {
        "gpu": SMI.name, "capability": "9.0", "usable_bytes": str(79 * GIB), "driver": "580.1",
        "cuda": str(torch.version.cuda), "device_by": "nvidia-smi", "sdpa": "flash_attention",
    }  # fmt: skip
    started = [call.partition("(")[0] for call in calls]
    assert started[:3] == ["set_device", "synchronize", "empty_cache"]
    marks = [name for name in started if name in ("synchronize", "memory_stats", "reset_peak_memory_stats")]
    assert marks[1:4] == ["synchronize", "memory_stats", "reset_peak_memory_stats"]


def test_the_card_is_asked_before_there_is_a_context(calls: list[str]) -> None:
    assert StandIn().before == SMI.used
    assert calls == []


@pytest.mark.parametrize(("order", "first"), [([3, 1, 2, 0], "cudnn_attention"), ([1, 2, 0], "flash_attention")])
def test_the_kernel_that_attends_first_is_said(
    calls: list[str], monkeypatch: pytest.MonkeyPatch, order: list[int], first: str
) -> None:
    """cuDNN's is put before the others on Hopper and Blackwell, by a torch with a cuDNN that is new enough."""
    monkeypatch.setattr(torch._C, "_get_sdp_priority_order", lambda: order)
    assert StandIn().description()["sdpa"] == first
    monkeypatch.delattr(torch._C, "_get_sdp_priority_order")
    assert StandIn().description()["sdpa"] == "unknown"


def test_without_a_driver_to_ask_the_card_is_asked_by_torch_once_there_is_a_context(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "ask_driver", lambda _: "no GPU of NVIDIA is seen: there is no nvidia-smi")
    device = StandIn()
    assert (device.before, device.source, calls) == (None, "torch.cuda.mem_get_info", [])
    assert device.used() == 4 * GIB
    assert device.description()["driver"] == "unknown"


def test_nvml_is_asked_first_by_the_index_of_a_rank(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    nvml(
        monkeypatch,
        nvmlDeviceGetHandleByIndex=lambda index: asked.append(index) or index,
        nvmlDeviceGetHandleByUUID=lambda uuid: asked.append(uuid) or uuid,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=5 * GIB),
    )
    assert (StandIn(1).before, StandIn(1).source) == (5 * GIB, "nvml")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,GPU-af12")
    StandIn(0), StandIn(1)
    assert asked == [1, 1, 6, "GPU-af12"]
    device = StandIn(1)
    device.start()
    assert "set_device(1,)" in calls


def unsupported(*_: Any) -> None:
    raise NVMLError("Not Supported")


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetMemoryInfo"])
def test_an_nvml_that_cannot_tell_is_passed_over(
    calls: list[str], monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    said = {"nvmlDeviceGetHandleByIndex": lambda index: index, "nvmlDeviceGetMemoryInfo": lambda _: None}
    nvml(monkeypatch, **{**said, function: unsupported})
    assert (StandIn().source, StandIn().before) == ("nvidia-smi", SMI.used)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("Error out of memory at line 380 in file ops.cu"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("no"), False),
    ],
)
def test_what_says_that_a_card_is_full(calls: list[str], error: Exception, full: bool) -> None:
    assert StandIn().is_full(error) is full


def test_counters_are_named_as_torch_documents_them() -> None:
    said = torch.cuda.memory.memory_stats.__doc__
    for name in ("allocated_bytes", "active_bytes", "reserved_bytes"):
        assert f'"{name}.{{all,large_pool,small_pool}}.{{current,peak,allocated,freed}}"' in said
    assert '"num_alloc_retries"' in said
    assert "requested_bytes" in said
