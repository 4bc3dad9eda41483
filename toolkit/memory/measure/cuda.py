"""A GPU of NVIDIA: torch's allocator, and the whole card by NVML."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

from toolkit.memory.measure.device import Counters
from toolkit.memory.measure.gpu import SeenGpu, ask_driver


class Cuda:
    """The first GPU that torch sees. The card is asked once before there is a context on it."""

    kind = "cuda"

    def __init__(self) -> None:
        self._nvml = _nvml_handle()
        self.source = "nvml" if self._nvml else "nvidia-smi"
        self.before = self.used()
        if self.before is None:
            self.source = "torch.cuda.mem_get_info"

    def start(self) -> None:
        """Makes the context, with a first kernel."""
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
        if self._nvml:
            import pynvml

            return int(pynvml.nvmlDeviceGetMemoryInfo(self._nvml).used)
        if self.source == "nvidia-smi":
            seen = ask_driver(_index())
            return seen.used if isinstance(seen, SeenGpu) else None
        free, total = torch.cuda.mem_get_info()
        return int(total - free)

    def description(self) -> Mapping[str, str]:
        """The card, its driver, CUDA, and by what the card was asked."""
        properties = torch.cuda.get_device_properties(0)
        seen = ask_driver(_index())
        return {
            "gpu": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "usable_bytes": str(properties.total_memory),
            "driver": seen.driver if isinstance(seen, SeenGpu) else "unknown",
            "cuda": str(torch.version.cuda),
            "device_by": self.source,
        }

    def is_full(self, error: BaseException) -> bool:
        """Whether it is torch's error for a full card, or a library's of the same name."""
        return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error).lower()


def _index() -> str:
    return os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0"


def _nvml_handle() -> Any:
    """NVML's handle of the GPU that torch will see first; None without the package or without a driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
        index = _index()
        return pynvml.nvmlDeviceGetHandleByIndex(int(index)) if index.isdigit() else _by_uuid(index)
    except (ImportError, OSError):
        return None
    except Exception as error:
        if type(error).__module__.split(".")[0] == "pynvml":  # its errors share no public base in all versions
            return None
        raise


def _by_uuid(uuid: str) -> Any:
    import pynvml

    return pynvml.nvmlDeviceGetHandleByUUID(uuid.encode())
