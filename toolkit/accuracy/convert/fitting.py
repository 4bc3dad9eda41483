"""Makes a draft one that a scenario may be: what a field may not hold or what contradicts another stands beyond it."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from toolkit.accuracy.convert.draft import MAX_REMARK, Draft
from toolkit.finding import Place
from toolkit.spec.contradictions import contradictions
from toolkit.spec.fields.registry import FIELDS
from toolkit.spec.fields.value import Field, FieldValue
from toolkit.spec.published_lines import node_of
from toolkit.spec.scenario import Scenario, applies
from toolkit.spec.written.open_value import read_open

_NOWHERE = Place("record")


def fit(draft: Draft) -> None:
    """Moves what a scenario may not say beyond it; a run that lacks its model or method is beyond, too."""
    read: dict[str, Field] = {}
    for name, value in list(draft.fields.items()):
        try:
            read[name] = Field(_read(name, json.dumps(value, sort_keys=True)), _NOWHERE)
        except (KeyError, ValueError, PydanticCustomError, ValidationError):
            _put_beyond(draft, name, value)
    for name in [name for name in read if not applies(name, read)]:
        del draft.fields[name], read[name]
    for name in ("model", "method"):
        if name not in read:
            draft.beyond.setdefault(name, "not said in a way that is known")
    clashes = contradictions(Scenario("record", _NOWHERE, read)) if not draft.beyond else ()
    for clash in clashes:
        draft.beyond["contradiction"] = clash.message


@lru_cache(maxsize=4096)
def _read(name: str, written: str) -> FieldValue:
    """The value of a field as a scenario has it. Raises what its kind raises for a wrong one."""
    return read_open(FIELDS[name].kind, node_of(json.loads(written)))


def _put_beyond(draft: Draft, name: str, value: Any) -> None:
    del draft.fields[name]
    draft.beyond[name[:MAX_REMARK]] = (value if isinstance(value, str) else json.dumps(value))[:MAX_REMARK]
