"""Where a larger batch or a longer sequence takes another way through the code, so that memory may fall."""

from __future__ import annotations

from toolkit.memory.libraries.packed_kernels import dense_from
from toolkit.spec.settings.setting import Setting

_OTHER = {"batch_size": "sequence_length", "sequence_length": "batch_size"}
"""The number that a token count is the product of, beside the field."""


def turns(setting: Setting, field: str) -> tuple[int, ...]:
    """The values of a count from which on other kernels run; between two of them no peak falls as it grows.

    Kernels for AWQ and GPTQ weights write these out from so many tokens on, and hold less beside them.
    """
    rows = dense_from(setting)
    if rows is None or field not in _OTHER:
        return ()
    other: int = getattr(setting, _OTHER[field])
    return (-(-rows // other),)
