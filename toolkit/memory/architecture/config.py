"""Reading a published config: a stranger's values are checked before anything is built from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from toolkit.frozen import frozen

MAX_LAYERS = 4096
MAX_HEADS = 4096
MAX_EXPERTS = 65_536
MAX_SIZE = 1 << 27  # vocabularies, widths, positions: two orders of magnitude above every published model


class UnsupportedModel(Exception):  # noqa: N818 - a refusal by name; the user's model is no error of ours
    """A config that no family here reads: the model's name, and the reason as a phrase."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class MalformedConfig(UnsupportedModel):
    """A config with a value that no model can have, so that no library builds the model, either."""


@frozen
class Config:
    """A config and the defaults that transformers gives to keys that it lacks.

    `aliases` names other spellings under which a key was published. A key that is present with the value null
    is null, as in transformers: the default stands for a missing key only.
    """

    name: str
    model_type: str
    values: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def value(self, key: str) -> Any:
        """The value of a key as it stands, or the default."""
        if key in self.values:
            return self.values[key]
        other = self.aliases.get(key)
        if other is not None and other in self.values:
            return self.values[other]
        return self.defaults.get(key)

    def refuse(self, reason: str) -> UnsupportedModel:
        """The exception that refuses this model."""
        return UnsupportedModel(self.name, reason)

    def malformed(self, reason: str) -> MalformedConfig:
        """The exception that refuses a value."""
        return MalformedConfig(self.name, reason)

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self.value(key)
        if value is None:
            raise self.refuse(f"the config has no {key}")
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.malformed(f"{key} is {_shown(value)}, not a whole number")
        if not low <= value <= high:
            raise self.malformed(f"{key} is {_shown(value)}, outside {low:,} to {high:,}")
        return value

    def size(self, key: str) -> int:
        """A width, a number of rows or of positions."""
        return self.whole(key, 1, MAX_SIZE)

    def layers(self, key: str) -> int:
        """A number of layers."""
        return self.whole(key, 1, MAX_LAYERS)

    def heads(self, key: str) -> int:
        """A number of attention heads."""
        return self.whole(key, 1, MAX_HEADS)

    def experts(self, key: str) -> int:
        """A number of experts. None at all is a model to some libraries, but not here."""
        if self.value(key) == 0:
            raise self.refuse(f"{key} is 0, outside 1 to {MAX_EXPERTS:,}")
        return self.whole(key, 1, MAX_EXPERTS)

    def optional_size(self, key: str) -> int | None:
        """A size, or None where the config says null or nothing."""
        return None if self.value(key) is None else self.size(key)

    def flag(self, key: str) -> bool:
        """A switch; null is off."""
        value = self.value(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.malformed(f"{key} is {_shown(value)}, not true or false")

    def share(self, key: str) -> float:
        """A probability, such as dropout; null is 0."""
        value = self.value(key)
        if value is None:
            return 0.0
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self.malformed(f"{key} is {_shown(value)}, not a number from 0 to 1")
        return float(value)

    def word(self, key: str) -> str:
        """A short text, such as the name of an activation function."""
        value = self.value(key)
        if not isinstance(value, str) or not 0 < len(value) <= 100:
            raise self.malformed(f"{key} is {_shown(value)}, not a name")
        return value

    def words(self, key: str) -> tuple[str, ...] | None:
        """A list of texts, no longer than a model may have layers; None where there is none."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > MAX_LAYERS:
            raise self.malformed(f"{key} is {_shown(value)}, not a list of names")
        if not all(isinstance(word, str) for word in value):
            raise self.malformed(f"{key} is {_shown(value)}, not a list of names")
        return tuple(value)

    def given(self, **values: Any) -> Config:
        """The config with other values."""
        return replace(self, values={**self.values, **values})

    def part(self, key: str, model_type: str, defaults: Mapping[str, Any]) -> Config:
        """A config inside this one, such as that of the text model of an image-text model."""
        value = self.value(key)
        if not isinstance(value, dict):
            raise self.malformed(f"{key} is {_shown(value)}, not a config")
        return Config(self.name, model_type, value, defaults)


def _shown(value: object) -> str:
    """A value in a message: short, whatever a stranger wrote. Large integers are not written out in full."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**15:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "…"
