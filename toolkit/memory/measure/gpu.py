"""Which GPU there is to measure on, found without torch and without making a context on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from toolkit.frozen import frozen

NEEDED = ("torch", "transformers", "peft")
ASKED = "name,memory.total,memory.used,driver_version"
PATIENCE_S = 20
MIB = 1 << 20
TORCH_SAYS = (
    "import json, torch; free, total = torch.cuda.mem_get_info(0); "
    "print(json.dumps([torch.cuda.get_device_name(0), total, free]))"
)


@frozen
class SeenGpu:
    """A GPU as its driver names it; `total` and `used` are bytes of the whole card."""

    name: str
    total: int
    used: int
    driver: str


@cache
def seen_gpu() -> SeenGpu | str:
    """The first GPU that processes started from here would use, or why nothing can be measured."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    if _without_cuda():
        return "the installed torch is built without CUDA"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every GPU"
    seen = ask_driver(visible())
    return seen if isinstance(seen, SeenGpu) else ask_torch() or seen


def visible(number: int = 0) -> str:
    """How the driver knows the GPU that torch numbers so: by an index of the machine, or by a UUID."""
    named = _named()
    return named[number] if number < len(named) else str(number)


def _named() -> list[str]:
    """The GPUs that CUDA_VISIBLE_DEVICES names."""
    return [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]


def ask_torch() -> SeenGpu | None:
    """What torch says of the first GPU, in a process of its own: there are machines without nvidia-smi."""
    command = [sys.executable, "-c", TORCH_SAYS]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=6 * PATIENCE_S, check=False)  # noqa: S603 - this Python
        name, total, free = json.loads(ran.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError, TypeError):
        return None
    return SeenGpu(str(name), int(total), int(total) - int(free), "unknown")


def ask_driver(index: str = "") -> SeenGpu | str:
    """What nvidia-smi says of one GPU, by its index or UUID; the first where none is given."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "no GPU of NVIDIA is seen: there is no nvidia-smi"
    command = [tool, f"--query-gpu={ASKED}", "--format=csv,noheader,nounits", *(["-i", index] if index else [])]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)  # noqa: S603 - found on PATH, no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi did not answer: {type(error).__name__}"
    found = parsed(ran.stdout)
    return found if ran.returncode == 0 and found else "no GPU of NVIDIA is seen by nvidia-smi"


def card_of_worker(worker: str, count: int) -> str | None:
    """The card for one of several workers of pytest-xdist ("gw3"), by turns; None where there is nothing to choose.

    Cards that CUDA_VISIBLE_DEVICES names are the only ones; workers of one card wait for each other.
    """
    cards = _named() or [str(index) for index in range(count)]
    number = worker.removeprefix("gw")
    return cards[int(number) % len(cards)] if number.isdigit() and len(cards) > 1 else None


def count_cards() -> int:
    """How many GPUs processes started from here would see, as far as nvidia-smi lists them."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return len([card for card in _named() if card != "-1"])
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    try:
        ran = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)  # noqa: S603 - as above
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in ran.stdout.splitlines())


def parsed(answer: str) -> SeenGpu | None:
    """The first line of nvidia-smi's answer; None where it has another form."""
    parts = [part.strip() for part in answer.strip().split("\n", 1)[0].split(",")]
    if len(parts) != len(ASKED.split(",")) or not (parts[1].isdigit() and parts[2].isdigit()):
        return None
    return SeenGpu(parts[0], int(parts[1]) * MIB, int(parts[2]) * MIB, parts[3])


def _without_cuda() -> bool:
    try:
        return version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False
