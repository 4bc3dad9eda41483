"""A copy of the model on each GPU: DistributedDataParallel as the first of them runs it, gradients in buckets.

Its reducer is torch's own, in C++; only what it sends and hears is left out. The map of used parameters that
find_unused_parameters keeps, 4 bytes a tensor, is left out too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import nn

from toolkit.memory.trace.refused import DDP
from toolkit.spec.settings.setting import Setting

Seen = Callable[[torch.Tensor], None]


def replicates(setting: Setting) -> bool:
    """Whether every GPU trains a whole copy."""
    return setting.trains and setting.parallel.strategy == DDP and setting.parallel.gpus > 1


def replicate(model: nn.Module, seen: Seen) -> nn.Module:
    """The model with its gradients put into buckets, each of which is shown as it is sent."""
    with _shapes_unasked():
        copied: nn.Module = nn.parallel.DistributedDataParallel(model)
    # Without a signature: its annotations would have to be types, which this module's are not at run time.
    copied.register_comm_hook(None, lambda state, bucket: _sent(bucket.buffer(), seen))  # noqa: ARG005
    return copied


def _sent(bucket: torch.Tensor, seen: Seen) -> Any:
    """Answers at once with what was sent."""
    seen(bucket)
    answer: Any = torch.futures.Future()
    answer.set_result(bucket)
    return answer


@contextmanager
def _shapes_unasked() -> Iterator[None]:
    """Without the question whether all ranks hold the same shapes, whose answer is read from a tensor."""
    module: Any = import_module("torch.nn.parallel.distributed")
    asked = module._verify_param_shape_across_processes
    module._verify_param_shape_across_processes = lambda *_, **__: None
    try:
        yield
    finally:
        module._verify_param_shape_across_processes = asked
