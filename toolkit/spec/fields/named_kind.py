"""The kinds of values that name something: a head, modules, a version, a GPU, a model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from toolkit.frozen import frozen
from toolkit.spec.fields.kind import OneOf, Schema
from toolkit.spec.fields.names import CHECKPOINTING, CLASSIFIERS, HEADS
from toolkit.spec.yaml.known import shown, unknown
from toolkit.spec.yaml.node import Entries, Items, Node, Scalar
from toolkit.spec.yaml.refusal import refusal
from toolkit.spec.yaml.scalar import is_null, plain_data, read_text

MAX_TARGETS = 64
MAX_CONFIG_CHARACTERS = 100_000

_HEAD = re.compile(r"([a-z-]+)\(([1-9][0-9]{0,5})\)")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9A-Za-z]+)*(?:[-+.][0-9A-Za-z.]+)?")


@frozen
class Checkpointing:
    """Whether activations are recomputed, and by which form of torch's checkpointing."""

    wanted: str = "true, false, reentrant, non-reentrant or selective"

    def read(self, raw: Node) -> bool | str:
        """True, False, or a form's name."""
        if isinstance(raw, Scalar) and raw in CHECKPOINTING:
            return str(raw)
        if isinstance(raw, Scalar) and raw.plain and raw in ("true", "false"):
            return raw == "true"
        return bool(OneOf("a form of checkpointing", ("true", "false", *CHECKPOINTING)).read(raw))

    def schema(self) -> Schema:
        """Booleans and the forms."""
        return {"enum": [True, False, *CHECKPOINTING]}


@frozen
class Switch:
    """True, false, or one of some names that say more than true."""

    wanted: str
    subject: str
    names: Mapping[str, str]

    def read(self, raw: Node) -> bool | str:
        """True, False, or a name."""
        if isinstance(raw, Scalar) and raw in self.names:
            return str(raw)
        if isinstance(raw, Scalar) and raw.plain and raw in ("true", "false"):
            return raw == "true"
        return OneOf(self.subject, ("true", "false", *self.names)).read(raw) == "true"

    def schema(self) -> Schema:
        """Booleans and the names."""
        return {"enum": [True, False, *self.names]}


@frozen
class Head:
    """What stands on top of the model: `sequence-classification(3)` is a classifier with three labels."""

    wanted: str = "a head"

    def read(self, raw: Node) -> str:
        """The name, with its number of labels if one is written."""
        name = read_text(raw, self.wanted)
        with_labels = _HEAD.fullmatch(name)
        if with_labels and with_labels[1] in CLASSIFIERS:
            return name
        if name not in HEADS:
            raise refusal("S107", *unknown(self.wanted, name, HEADS))
        return name

    def schema(self) -> Schema:
        """The names, and the form with labels."""
        return {"anyOf": [{"enum": list(HEADS)}, {"pattern": r"^(sequence|token)-classification\([1-9][0-9]*\)$"}]}


@frozen
class Targets:
    """The modules that LoRA adapts: a list of names, or all-linear."""

    wanted: str = "all-linear or a list of module names"

    def read(self, raw: Node) -> str | tuple[str, ...]:
        """The names in the order in which they are written."""
        if isinstance(raw, Items):
            return self._names(raw)
        name = read_text(raw, self.wanted)
        if name != "all-linear":
            raise refusal("S104", f"{shown(name)} is not {self.wanted}", f"write [{shown(name)}] for one module name")
        return name

    def _names(self, raw: Items) -> tuple[str, ...]:
        if not 0 < len(raw) <= MAX_TARGETS:
            raise refusal("S104", f"{len(raw)} names are not a list of 1 to {MAX_TARGETS} module names")
        names = tuple(read_text(name, "a module name") for name in raw)
        for name in names:
            if name == "all-linear":
                raise refusal("S104", "all-linear stands alone, not in a list", "write all-linear without brackets")
            if not _MODULE.fullmatch(name):
                raise refusal("S104", f"{shown(name)} is not a module name such as q_proj or mlp.up_proj")
        if len(set(names)) < len(names):
            raise refusal("S104", "a module name is listed twice")
        return names

    def schema(self) -> Schema:
        """all-linear, or names."""
        name = {"type": "string", "pattern": f"^{_MODULE.pattern}$", "not": {"const": "all-linear"}}
        listed = {"type": "array", "items": name, "minItems": 1, "maxItems": MAX_TARGETS, "uniqueItems": True}
        return {"anyOf": [{"const": "all-linear"}, listed]}


@frozen
class ModuleNames(Targets):
    """The names of modules, which stand for themselves: there is no word for all of a kind."""

    wanted: str = "a list of module names"

    def read(self, raw: Node) -> tuple[str, ...]:
        """The names in the order in which they are written."""
        if not isinstance(raw, Items):
            raise refusal("S104", f"{shown(read_text(raw, self.wanted))} is not {self.wanted}")
        return self._names(raw)

    def schema(self) -> Schema:
        """Names."""
        listed: Schema = Targets.schema(self)["anyOf"][1]
        return listed


@frozen
class Version:
    """A release number as a package index writes it; `5.10` stays `5.10`."""

    wanted: str = "a version such as 5.23 or 2.8.0"

    def read(self, raw: Node) -> str:
        """The version."""
        version = read_text(raw, self.wanted)
        if not _VERSION.fullmatch(version) or len(version) > MAX_TARGETS:
            raise refusal("S104", f"{shown(version)} is not {self.wanted}")
        return version

    def schema(self) -> Schema:
        """Text or a bare number."""
        return {"type": ["string", "number"], "pattern": f"^{_VERSION.pattern}$"}


@frozen
class Gpu:
    """A GPU by name, or any that is sold with so much memory ("24 GB"); the loader looks it up."""

    wanted: str = "a GPU such as RTX 4090, or 24 GB for any with that memory"

    def read(self, raw: Node) -> str | None:
        """The name as it is written."""
        return None if is_null(raw) else read_text(raw, self.wanted)

    def schema(self) -> Schema:
        """Text."""
        return {"type": ["string", "number", "null"], "minLength": 1}


@frozen
class Model:
    """A model by its id, by the path of a config.json, or by its config as a mapping."""

    wanted: str = "a model such as Qwen/Qwen2.5-7B, the path of a config.json, or a config"

    def read(self, raw: Node) -> str:
        """The id, the path, or an inline config as canonical JSON."""
        if isinstance(raw, Entries) and "model_type" in raw:
            config = json.dumps(plain_data(raw), sort_keys=True, ensure_ascii=True)
            if len(config) > MAX_CONFIG_CHARACTERS:
                raise refusal("S104", f"a config of more than {MAX_CONFIG_CHARACTERS:,} characters: put it in a file")
            return config
        if isinstance(raw, Entries):
            raise refusal("S104", "a config that is written out needs its model_type")
        name = read_text(raw, self.wanted)
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
            raise refusal("S109", f"{shown(name)} leads out of the folder of the spec")
        return name

    def schema(self) -> Schema:
        """Text, or a mapping with a model_type."""
        return {"anyOf": [{"type": "string", "minLength": 1}, {"type": "object", "required": ["model_type"]}]}
