"""How a family of models is read: the function that does it, and what the config leaves unsaid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from toolkit.frozen import frozen
from toolkit.memory.architecture.config import Config
from toolkit.memory.architecture.heads import Head
from toolkit.memory.architecture.model import Architecture


@frozen
class Family:
    """How a type is read: function, config defaults of transformers 5.23, classes by head, other keys."""

    build: Callable[[Config, Head], Architecture]
    defaults: Mapping[str, Any]
    classes: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)
