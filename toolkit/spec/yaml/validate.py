"""Validates a YAML tree with pydantic until nothing broken is left in it, and collects every mistake."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from toolkit.finding import Finding
from toolkit.spec.written.scenarios import Written
from toolkit.spec.yaml.node import Entries
from toolkit.spec.yaml.prune import Broken, prune
from toolkit.spec.yaml.translate import findings_of

_Model = TypeVar("_Model", bound=Written)
_ROUNDS = 8  # a part that lost a field may lack it: each round takes out more, until nothing is left


def validated(model: type[_Model], root: Entries, path: str, findings: list[Finding]) -> tuple[_Model, Broken]:
    """The validated model without its broken parts; they are removed from the tree, and reported in `findings`."""
    broken = Broken()
    for _ in range(_ROUNDS):
        try:
            return model.model_validate(root, context=path), broken
        except ValidationError as error:
            locations = [item["loc"] for item in error.errors(include_url=False, include_input=False)]
            known = {(one.place, one.code) for one in findings}
            found = findings_of(error, root, path, model)
            findings += [one for one in found if (one.place, one.code) not in known]
            broken.add(prune(root, locations))
    root.clear()
    return model.model_validate(root, context=path), broken
