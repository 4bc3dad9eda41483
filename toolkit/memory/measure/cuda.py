"""A GPU of NVIDIA: torch's allocator, and the whole card by NVML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from toolkit.memory.measure.device import Counters
from toolkit.memory.measure.gpu import SeenGpu, ask_driver, visible

FULL = ("out of memory", "cublas_status_alloc_failed", "cudnn_status_alloc_failed")
"""What CUDA, NCCL and bitsandbytes, cuBLAS and cuDNN say of a full card, in small letters."""


class Cuda:
    """One of the GPUs that torch sees: the first, or a rank's. The card is asked once before there is a context."""

    kind = "cuda"

    def __init__(self, number: int = 0) -> None:
        self._number = number
        self._nvml = _nvml_handle(visible(number))
        self.before: int | None = None
        for self.source in ("nvml", "nvidia-smi"):
            self.before = self.used()
            if self.before is not None:
                return
        self.source = "torch.cuda.mem_get_info"

    def start(self) -> None:
        """Makes the context, with a first kernel."""
        torch.cuda.set_device(self._number)
        torch.zeros(1, device=self.kind)
        self.settle()
        torch.cuda.empty_cache()

    def settle(self) -> None:
        """Waits for all streams."""
        torch.cuda.synchronize()

    def reset_peaks(self) -> None:
        """Resets the peaks of every counter to what is now."""
        torch.cuda.reset_peak_memory_stats()

    def counters(self) -> Counters:
        """torch.cuda.memory_stats, over both pools."""
        said = torch.cuda.memory_stats()
        return Counters(
            now=said["allocated_bytes.all.current"],
            allocated=said["allocated_bytes.all.peak"],
            requested=said["requested_bytes.all.peak"],
            active=said["active_bytes.all.peak"],
            reserved=said["reserved_bytes.all.peak"],
            reserved_now=said["reserved_bytes.all.current"],
            retries=said["num_alloc_retries"],
        )

    def used(self) -> int | None:
        """Bytes in use on the card, by whomever; by mem_get_info only once there is a context."""
        if self.source == "nvml":
            return _nvml_used(self._nvml)
        if self.source == "nvidia-smi":
            seen = ask_driver(visible(self._number))
            return seen.used if isinstance(seen, SeenGpu) else None
        free, total = torch.cuda.mem_get_info()
        return int(total - free)

    def description(self) -> Mapping[str, str]:
        """The card, its driver, CUDA, by what the card was asked, and by which kernel torch first tries to attend."""
        properties = torch.cuda.get_device_properties(self._number)
        seen = ask_driver(visible(self._number))
        return {
            "gpu": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "usable_bytes": str(properties.total_memory),
            "driver": seen.driver if isinstance(seen, SeenGpu) else "unknown",
            "cuda": str(torch.version.cuda),
            "device_by": self.source,
            "sdpa": _first_kernel(),
        }

    def is_full(self, error: BaseException) -> bool:
        """Whether it is torch's error for a full card, or what a library says of one."""
        said = str(error).lower()
        return isinstance(error, torch.cuda.OutOfMemoryError) or any(words in said for words in FULL)


def _first_kernel() -> str:
    """The first of torch's kernels of attention, once one has run: cuDNN's on some cards, by its release.

    Source: aten/src/ATen/native/transformers/cuda/sdp_utils.cpp, check_prefer_cudnn_attention.
    """
    try:
        return str(torch._C._SDPBackend(torch._C._get_sdp_priority_order()[0]).name).lower()
    except (AttributeError, IndexError, ValueError):  # torch before 2.6 has no order to ask for
        return "unknown"


def _nvml_handle(card: str) -> Any:
    """NVML's handle of a GPU by its index or UUID; None without the package or without a driver."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        if card.isdigit():
            return pynvml.nvmlDeviceGetHandleByIndex(int(card))
        return pynvml.nvmlDeviceGetHandleByUUID(card)
    except (OSError, pynvml.NVMLError):
        return None


def _nvml_used(handle: Any) -> int | None:
    """None where NVML has no figure for the card, as for shares of one and for memory that the host shares."""
    if handle is None:
        return None
    import pynvml

    try:
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)
    except pynvml.NVMLError:
        return None
