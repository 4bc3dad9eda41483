"""One process for one scenario: its crash, its hang and its full card are its own result and nothing else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from toolkit.memory.measure.job import Measurable, as_plain
from toolkit.memory.measure.outcome import Outcome, OutcomeKind
from toolkit.memory.measure.worker import rank_file

WORKER = (sys.executable, "-m", "toolkit.memory.measure.worker")
OF_A_RANK = ("allocated", "reserved", "context", "card", "phase")
TAIL = 4_000
SAID = 300
SETTLED = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "PYTORCH_CUDA_ALLOC_CONF": "",
    "PYTORCH_ALLOC_CONF": "",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    "CUBLAS_WORKSPACE_CONFIG": "",
    "CUBLASLT_WORKSPACE_SIZE": "",
    "TORCH_CUBLASLT_UNIFIED_WORKSPACE": "",
    "PYTORCH_NO_CUDA_MEMORY_CACHING": "",
    "CUDA_LAUNCH_BLOCKING": "",
    "CUDA_MODULE_LOADING": "",
    "TORCH_CUDNN_SDPA_DEPRIORITIZED": "",
    "TORCH_CUDNN_SDPA_PREFERRED": "",
    "TORCH_BLAS_PREFER_CUBLASLT": "",
    "DISABLE_ADDMM_CUDA_LT": "",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "",
    "NVIDIA_TF32_OVERRIDE": "",
}
"""Nothing is fetched; GPUs are numbered as the driver numbers them; what would change the allocator, the workspaces of
cuBLAS, the kernels, the context or the speed is as it is by default."""


ALLOCATOR = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
"""What configures torch's allocator; the second since 2.9."""


def measured_apart(job: Measurable, limit_s: float, command: Sequence[str] | None = None) -> Outcome:
    """Measures a job in a process of its own, which is ended with all its children after `limit_s` seconds."""
    started = time.monotonic()
    ranks = job.setting.parallel.gpus
    with tempfile.TemporaryDirectory(prefix="toolkit-measure-") as folder, tempfile.TemporaryFile() as errors:
        given, result = Path(folder) / "job.json", Path(folder) / "result.json"
        given.write_text(json.dumps(as_plain(job)), "utf-8")
        python, *worker = command or WORKER
        asked = [python, *_torchrun(ranks), *worker, str(given), str(result)]
        code = _run(asked, limit_s, errors, _environment(expandable=job.setting.expandable_segments))
        seconds = round(time.monotonic() - started, 2)
        said = _tail(errors)
        if code is None:
            where = _phase(said)
            reason = f"no end after {limit_s:.0f} s{f', in {where}' if where else ''}"
            return Outcome(OutcomeKind.TIMED_OUT, reason, seconds=seconds)
        reading = _reading(result) if ranks == 1 else _of_all(result, ranks)
        ended = code == 0 or (ranks > 1 and reading is not None and reading["kind"] != OutcomeKind.MEASURED)
        if reading is None or not ended:
            return Outcome(OutcomeKind.CRASHED, _why(code, said), seconds=seconds)
        return Outcome(OutcomeKind(reading["kind"]), str(reading.get("reason", "")), reading, seconds)


def _torchrun(ranks: int) -> list[str]:
    """What of a command starts as many processes; nothing for one."""
    return ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []


def _of_all(result: Path, ranks: int) -> Mapping[str, Any] | None:
    """What the ranks wrote as one: that of the fullest, with the peaks of each. A rank that says why not goes before.

    None where a rank that should have measured wrote nothing.
    """
    found = [_reading(rank_file(result, rank)) for rank in range(ranks)]
    known = [one for one in found if one is not None]
    for one in known:
        if one["kind"] != OutcomeKind.MEASURED:
            return one
    if len(known) < ranks:
        return None
    fullest = max(known, key=lambda one: int(one["allocated"]))
    return {**fullest, "ranks": [{name: one[name] for name in OF_A_RANK} for one in known]}


def _run(command: Sequence[str], limit_s: float, errors: BinaryIO, environment: Mapping[str, str]) -> int | None:
    """The exit code; None where it was ended at its limit."""
    process = subprocess.Popen(  # noqa: S603 - this Python and a module of this package; no shell
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=environment,
        start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads its group, and ranks end with it: nothing keeps the card
        process.wait()


def _environment(*, expandable: bool) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in SETTLED}
    settled = {name: value for name, value in SETTLED.items() if value}
    if expandable:
        settled |= dict.fromkeys(ALLOCATOR, "expandable_segments:True")
    root = str(Path(__file__).resolve().parents[3])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**kept, **settled, "PYTHONPATH": os.pathsep.join(paths)}


def _reading(result: Path) -> Mapping[str, Any] | None:
    """What the process wrote; None where it wrote nothing whole."""
    try:
        loaded = json.loads(result.read_text("utf-8"))
        OutcomeKind(loaded["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(loaded)


def _tail(errors: BinaryIO) -> str:
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - TAIL))
    return errors.read().decode("utf-8", "replace")


def _phase(said: str) -> str:
    phases = [line.removeprefix("phase ") for line in said.splitlines() if line.startswith("phase ")]
    return phases[-1].replace("_", " ") if phases else ""


def _why(code: int, said: str) -> str:
    """The last line of a traceback, with the phase; of a process that was killed, by what."""
    phase = f" in {_phase(said)}" if _phase(said) else ""
    if code < 0:
        with suppress(ValueError):
            name = signal.Signals(-code).name
            host = " (the host may have run out of memory)" if -code == signal.SIGKILL else ""
            return f"killed by {name}{phase}{host}"
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("phase ")]
    return f"exit code {code}{phase}: {lines[-1][:SAID] if lines else 'it said nothing'}"
