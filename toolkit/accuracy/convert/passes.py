"""How a record says that a model came to the GPU, and what a loop of somebody's own keeps of one pass until the next.

The words are those of transformers and torch: `from_pretrained(…).to(device)`, `model.cuda()`; an output that "stays
referenced". They are read of inference alone: a model that is trained is moved in any case.
"""

from __future__ import annotations

import re

from toolkit.accuracy.convert.draft import Draft, Record
from toolkit.accuracy.convert.remarks import remarks_of
from toolkit.spec.fields import names
from toolkit.spec.fields.process import MOVED

_MOVES = re.compile(
    r"(?:\bfrom_pretrained\([^();]{0,160}\)(?:,? (?:and )?then )?|\bmodel)\.(?:to\((?!torch\.|dtype\b)|cuda\()"
)
_HELD = re.compile(
    r"\b(?:outputs?|results?|logits) of the (?:forward(?: pass)?|pass|call) before (?:stays?|remains?|is|are) "
    r"(?:still )?(?:referenced|held|kept)\b"
)


def say_passes(draft: Draft, record: Record) -> None:
    """How weights of plain dtypes are loaded, and that the result of a pass is there while the next one runs."""
    if draft.fields.get("method") != "inference" or draft.fields.get("stack.trainer") in (*names.ENGINES, "litgpt"):
        return
    text, weights = remarks_of(record), draft.fields.get("weights")
    if isinstance(weights, str) and weights in names.FLOATS and _MOVES.search(text):
        draft.say("loading", MOVED)
    if draft.fields.get("generated_length") == 0 and _HELD.search(text):
        draft.say("warmup", True)
