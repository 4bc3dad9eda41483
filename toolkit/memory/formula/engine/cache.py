"""vLLM's cache: blocks of keys and values, divided among groups of layers that keep equally much of a sequence.

Sources: vllm worker/cache_engine.py (get_cache_block_size) of 0.6 and 0.7; v1/kv_cache_interface.py and
v1/core/kv_cache_utils.py (_get_kv_cache_groups_uniform_page_size, get_kv_cache_config_from_groups,
get_max_concurrency_for_kv_cache_config) of 0.8.5, 0.9.2 and 0.11.0.
"""

from __future__ import annotations

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.memory.context import Context
from toolkit.memory.engines.limits import FIRST_V1
from toolkit.memory.formula.caches.kv_cache import cached_elements
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.spec.settings.setting import Setting
from toolkit.spec.settings.stack_rules import release

BLOCK = 16
"""Tokens of one block of keys and values (vllm/config/cache.py, DEFAULT_BLOCK_SIZE)."""

GROUPS_NOT_AFTER, GROUPS_FROM = Version("0.8.5.post1"), Version("0.9.2")
"""Up to the first release layers with a window kept all tokens as others do; from the second they are in groups."""

GROUPS_READ_UNTIL = Version("0.11.1")
"""The first release whose groups were not read."""


@frozen
class Group:
    """Layers of one window, or of none: how many there are, and the bytes of a token in one of them."""

    layers: int
    window: int | None
    token: int


def groups_of(context: Context) -> tuple[Group, ...]:
    """The model's layers by what they keep; refused where they keep states instead of keys and values."""
    counts: dict[tuple[int | None, int], int] = {}
    for kind in context.architecture.layers:
        if kind.mixer is not None:
            raise UnsupportedRow("kv_cache", "no formula for how vLLM keeps the states of linear attention yet")
        if kind.attention.index_heads:
            raise UnsupportedRow("kv_cache", "no formula for how vLLM keeps the keys of an indexer yet")
        if not kind.attention.shares_keys:
            key = kind.attention.window, cached_elements(kind) * cache_item(context.setting)
            counts[key] = counts.get(key, 0) + kind.count
    return tuple(Group(layers, *key) for key, layers in counts.items())


def cache_item(setting: Setting) -> int:
    """The bytes of one element of keys and values."""
    dtype = str(setting.engine.get("kv_cache_dtype", "auto"))
    return BYTES[setting.compute if dtype == "auto" else dtype]


def token_bytes(context: Context) -> int:
    """Bytes of the cache for each token of the size that vLLM prints, on one GPU.

    Layers with different windows share blocks in groups, each with as many layers as the rarest window has; the last
    group of a window may be partly empty. Raises UnsupportedRow by name.
    """
    groups = groups_of(context)
    apart = _kept_apart(context.setting, groups)
    if apart is None:
        raise UnsupportedRow("kv_cache", "no formula for how this release of vLLM keeps layers of several windows")
    return sum(layers * group.token for group, layers in zip(groups, _in_blocks(groups, apart=apart), strict=True))


def sequence_bytes(context: Context, longest: int, step: int | None) -> int:
    """What the cache has to hold for one sequence of so many tokens, in whole blocks.

    For a layer with a window the newer engine keeps the window, the tokens of one step, and a block; the older keeps
    all tokens. Where `step` is None (not known) only the window is counted, which is the least.
    """
    groups = groups_of(context)
    apart = _kept_apart(context.setting, groups)
    held = 0
    for group, layers in zip(groups, _in_blocks(groups, apart=bool(apart)), strict=True):
        blocks = blocks_of(longest)
        if group.window is not None and (step is None or apart is None):
            blocks = blocks_of(min(longest, group.window))
        elif group.window is not None and (apart or len(groups) == 1) and _newer(context.setting):
            blocks = blocks_of(min(longest, group.window - 1 + (step or 0))) + 1
        held += layers * blocks * BLOCK * group.token
    return held


def blocks_of(tokens: int) -> int:
    """Blocks for so many tokens, rounded up."""
    return -(-tokens // BLOCK)


def _in_blocks(groups: tuple[Group, ...], *, apart: bool) -> tuple[int, ...]:
    """The layers of each group as blocks count them: with separate groups, multiples of the rarest's count."""
    unit = min((group.layers for group in groups), default=1) if apart else 1
    return tuple(-(-group.layers // unit) * unit for group in groups)


def _kept_apart(setting: Setting, groups: tuple[Group, ...]) -> bool | None:
    """Whether layers with different windows have separate blocks; None where that is not known."""
    version = release(setting.stack.versions, "vllm")
    if len(groups) < 2:
        return False
    if version is None or version >= GROUPS_READ_UNTIL or GROUPS_NOT_AFTER < version < GROUPS_FROM:
        return None
    if version >= GROUPS_FROM and len({group.token for group in groups}) > 1:
        return None
    return version >= GROUPS_FROM


def _newer(setting: Setting) -> bool:
    version = release(setting.stack.versions, "vllm")
    return version is not None and version >= FIRST_V1
