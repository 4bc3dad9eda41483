"""The releases that somebody names for a trace: nothing but known packages and exact versions reaches pip."""

from __future__ import annotations

import re

from toolkit.facts.names import MAX_NAME, UnknownName, nearest
from toolkit.facts.releases import MAX_VERSION, UnknownRelease, release
from toolkit.frozen import frozen

PACKAGES = (
    "accelerate",
    "bitsandbytes",
    "huggingface-hub",
    "peft",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
    "trl",
)
"""What memory hangs on, and what old releases of it need to be of their time."""

MOST_CHARACTERS = 400
_PIN = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_.-]*)==(?P<version>[0-9][A-Za-z0-9.]*)")


@frozen
class NamedStack:
    """Packages with their exact versions, in the order of their names."""

    pins: tuple[tuple[str, str], ...]

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip is given."""
        return tuple(f"{name}=={version}" for name, version in self.pins)

    @property
    def names_torch(self) -> bool:
        """Whether torch is to be another than that of this environment."""
        return any(name == "torch" for name, _ in self.pins)

    def __str__(self) -> str:
        return ", ".join(self.requirements)


def named_stack(text: str) -> NamedStack | str:
    """The stack of `name==version,…`, or what is wrong with it."""
    if len(text) > MOST_CHARACTERS:
        return f"a stack has at most {MOST_CHARACTERS} characters"
    pins: dict[str, str] = {}
    for part in text.split(","):
        found = _pin(part)
        if isinstance(found, str):
            return found
        name, version = found
        if name in pins:
            return f"{name} is named twice"
        pins[name] = version
    if "transformers" not in pins:
        return "a stack names transformers==VERSION, and whatever else it wants to be of that time"
    return NamedStack(tuple(sorted(pins.items())))


def _pin(part: str) -> tuple[str, str] | str:
    match = _PIN.fullmatch(part)
    if match is None:
        return f"{part[:MAX_NAME]!r} is not NAME==VERSION"
    name = re.sub(r"[-_.]+", "-", match["name"]).lower()
    if name not in PACKAGES:
        near = nearest(name, PACKAGES)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        return f"{name[:MAX_NAME]!r} is not among what a stack names: {', '.join(PACKAGES)}{hint}"
    found = release(name, match["version"])
    if isinstance(found, UnknownRelease) and not found.later:
        around = f"; known are {', '.join(found.nearest)}" if found.nearest else ""
        return f"{found.reason}{around}"
    if isinstance(found, (UnknownRelease, UnknownName)):
        return name, match["version"][:MAX_VERSION]
    return name, found.version
