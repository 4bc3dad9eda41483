"""Finds the GPU that a document means by a name, without guessing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache

from toolkit.facts.gpu import Card, GenericGpu, Gpu, GpuVariants, Reading
from toolkit.facts.gpu_table import GIB, gpus, table
from toolkit.facts.names import MAX_NAME, UnknownName, nearest

__all__ = ["GPUS", "GenericGpu", "Gpu", "GpuVariants", "Reading", "find_gpu", "gpus", "key_of"]

GPUS: tuple[Gpu, ...]

NOISE = re.compile(r"nvidia|amd|geforce|tesla|radeon|instinct|gpus?|graphics")
"""What a document may leave out, also where words are run together: no two cards differ only in it."""

FILLERS = frozenset(("card", "cards", "vram", "memory", "of", "with", "design", "ram"))

MEMORY = re.compile(r"(?<![0-9.])(\d{1,4}) ?(?:gb|gib)(?![a-z0-9])")
TECHNOLOGY = re.compile(r"\b(?:hbm\d?e?|gddr\d?x?)\b")
WORD = re.compile(r"[a-z]+|\d+")


def __getattr__(name: str) -> tuple[Gpu, ...]:
    if name == "GPUS":
        return gpus()
    raise AttributeError(name)


@lru_cache(maxsize=1024)
def find_gpu(name: str) -> Card | UnknownName:
    """Find the card of that name: letter case, spaces, hyphens and the maker's name do not matter.

    A name of several cards is `GpuVariants`, narrowed by a memory size in it ("A100 80GB"); a memory size
    alone is a `GenericGpu`. A name that no card has, or a memory it never had, is an `UnknownName`.
    """
    asked = name[:MAX_NAME]
    text = TECHNOLOGY.sub(" ", _plain(asked))
    whole = _named().get(key_of(asked)) or _named().get(key_of(text))
    if whole is not None:
        return _result(whole)
    sizes = [int(size) for size in MEMORY.findall(text)]
    bare = key_of(MEMORY.sub(" ", text))
    if len(sizes) == 1:
        if not bare:
            return _generic(asked, sizes[0])
        found = _named().get(bare)
        if found is not None:
            return _narrowed(asked, found, sizes[0])
    known = _named()
    return UnknownName(asked, tuple(dict.fromkeys(known[key][0] for key in nearest(bare or key_of(text), known))))


def key_of(name: str) -> str:
    """Fold a name to what tells cards apart ("NVIDIA GeForce RTX 4090" and "rtx-4090" to "rtx4090")."""
    words = WORD.findall(NOISE.sub(" ", _plain(name)))
    kept = (_WORDS.get(word, word) for word in words if word not in FILLERS)
    return "".join(kept)


_WORDS: Mapping[str, str] = {"mobile": "laptop", "notebook": "laptop", "gib": "gb"}


def _plain(name: str) -> str:
    folded = name[:MAX_NAME].casefold()
    return re.sub(r"[^a-z0-9.]+", " ", folded.replace("(r)", " ").replace("(tm)", " ")).strip()


def _result(found: tuple[str, tuple[Gpu, ...], str | None]) -> Gpu | GpuVariants:
    name, members, note = found
    return members[0] if len(members) == 1 else GpuVariants(name, members, note)


def _narrowed(asked: str, found: tuple[str, tuple[Gpu, ...], str | None], size: int) -> Gpu | GpuVariants | UnknownName:
    name, members, note = found
    fitting = tuple(gpu for gpu in members if size * GIB in gpu.sold_as)
    if fitting:
        return _result((f"{name} {size}GB", fitting, note))
    sold = sorted({gpu.marketing_bytes // GIB for gpu in members})
    amounts = " or ".join(f"{amount} GB" for amount in sold)
    notes = dict.fromkeys(gpu.note for gpu in members if gpu.note)
    sentence = " ".join((f"The {name} was sold with {amounts}.", *notes))
    return UnknownName(asked, tuple(gpu.name for gpu in members), sentence)


def _generic(asked: str, size: int) -> GenericGpu | UnknownName:
    members = tuple(gpu for gpu in gpus() if gpu.marketing_bytes == size * GIB)
    if members:
        return GenericGpu(f"{size} GB", members)
    sizes = sorted({gpu.marketing_bytes // GIB for gpu in gpus()}, key=lambda known: (abs(known - size), known))
    return UnknownName(asked, tuple(f"{known} GB" for known in sizes[:3]), f"No card in the table has {size} GB.")


@cache
def _named() -> Mapping[str, tuple[str, tuple[Gpu, ...], str | None]]:
    """Every name and alias, folded, with the cards that it means."""
    by_name = {gpu.name: gpu for gpu in gpus()}
    named: dict[str, tuple[str, tuple[Gpu, ...], str | None]] = {}
    for gpu in gpus():
        for name in (gpu.name, *gpu.aliases):
            named[key_of(name)] = (gpu.name, (gpu,), gpu.note)
    for group in table()["groups"]:
        members = tuple(by_name[member] for member in group["members"])
        for name in (group["name"], *group["aliases"]):
            named[key_of(name)] = (group["name"], members, None)
    return named
