"""What a record says of a training loop that somebody wrote: whose it is, what it keeps, and what of it no field says.

The words are those of loops in PyTorch: `outputs = model(**batch)`, `register_post_accumulate_grad_hook`, a pass under
`torch.no_grad()`. They are read of training alone; how a loop decodes is read elsewhere.
"""

from __future__ import annotations

import re
from typing import Any

from toolkit.accuracy.convert.draft import MAX_REMARK, Draft, Record
from toolkit.accuracy.convert.remarks import remarks_of
from toolkit.accuracy.convert.trainers import BARE_PASS, had_trainer
from toolkit.spec.fields.result import OWN_LOOP, UNTIL_LOSS, UNTIL_NEXT

_OWN = re.compile(
    r"\b(?:own|manual|custom|hand-?(?:written|made|rolled)|plain (?:pytorch|torch))"
    r" (?:(?:pytorch|train(?:ing)?) ){0,2}loop\b"
)
_QUOTED_STEP = re.compile(r"\b(?:optimizer|optim|opt)\.(?:step|zero_grad)\(|\bzero_grad\(|\bloss\.backward\(")
"""Lines of a loop that remarks quote: a Trainer's user writes none of them."""
_TORCH_OPTIMIZER = "torch.optim."
"""How a loop names its optimizer: arguments of a Trainer have names of their own for it, such as adamw_torch."""
_NAMED = re.compile(
    r"\b(?:outputs?|out|results?) ?= ?\w{0,40}model\w{0,40}\(|\b(?:outputs?|out|results?)\.loss\b"
    r"|\b(?:outputs?|logits|results?) (?:still )?(?:keeps?|has|have) (?:its |their |a )?names? (?:un)?til the next\b"
)
_UNNAMED = re.compile(r"\bmodel\(\*\*\w+\)\.loss\b")
_WITHIN_BACKWARD = re.compile(
    r"\b(?:register_)?post_accumulate_grad_hook\b"
    r"|\boptimizer[_ -]in[_ -](?:the[_ -])?(?:backward|bwd)\b(?!\W{0,3}(?:false|off))"
    r"|\b(?:steps?|updates?) (?:with)?in (?:the |its )?backward\b"
)
_NO_CACHE = re.compile(r"\buse_cache ?[=:] ?false\b")
_QUOTED_PASS = re.compile(r"\bmodel\((?:\*\*|input|x\b|batch|ids)")
_CUT_LOSS = re.compile(r"\bcut[_ ]cross[_ ]entropy\b|\blinear_cross_entropy\b")
_FROZEN = re.compile(
    r"\b(?:embeddings?|heads?|layers?|blocks?|encoder|backbone|norms?)\b[^;.,]{0,30}(?<!not )(?<!un)\bfrozen\b"
    r"|\bfroze\b[^;.,]{0,30}\b(?:embeddings?|heads?|layers?|blocks?|encoder|backbone)\b"
)
_PARTLY_STEPPED = re.compile(
    r"\boptimizer over (?:the )?(?:model\.)*layers\b|\boptimizer over [^;]{0,60}\b(?:alone|only)\b"
)
_PART_OF_LOGITS = re.compile(
    r"\b(?:lm_)?head (?:is called )?only (?:at|on|over) the positions\b"
    r"|\blogits (?:are (?:made|computed) )?only (?:at|of|for) the\b"
)
_NO_BACKWARD = re.compile(
    r"\b(?:one|a|single|1) forward (?:pass )?[^;.]{0,60}\b(?:under|with|in) (?:torch\.)?no_grad\b"
    r"|\bbackward(?: pass)? is not in (?:it|the (?:peak|figure|reading))\b"
    r"|\bcounter (?:is |was )?reset after (?:the )?training\b"
)


def say_loop(draft: Draft, record: Record) -> None:
    """The trainer, the loss and the steps of a loop in words; what is trained in part stands beyond."""
    if draft.fields.get("method") in (None, "inference"):
        return
    text = f"{(record['optimizer'] or '').casefold()} ; {remarks_of(record)}"
    trainer = draft.fields.get("stack.trainer")
    quoted = not had_trainer(record) and (_QUOTED_STEP.search(text) or _NAMED.search(text))
    own = quoted or _OWN.search(text) or text.startswith(_TORCH_OPTIMIZER)
    bare = trainer == OWN_LOOP and BARE_PASS.search(text)
    if (bare or (own and (trainer is None or isinstance(trainer, list)))) and "trainer" not in draft.beyond:
        draft.say("stack.trainer", OWN_LOOP)
        draft.say("stack.result", _named_until(text))
    if draft.fields.get("stack.trainer") == OWN_LOOP and _NO_CACHE.search(text):
        draft.say("use_cache", False)
    if _WITHIN_BACKWARD.search(text):
        draft.say("optimizer_in_backward", True)
    if _CUT_LOSS.search(text):
        draft.say("stack.loss", "cut")
    elif part := _PART_OF_LOGITS.search(text):
        draft.beyond.setdefault("loss", part[0][:MAX_REMARK])
    for sign in (_FROZEN, _PARTLY_STEPPED):
        found = sign.search(text)
        if found and draft.fields["method"] == "full":
            draft.beyond.setdefault("trained", found[0][:MAX_REMARK])


def say_loops_autocast(draft: Draft, record: Record) -> None:
    """Autocast of a loop in words: torch has it off, and a loop whose pass is quoted would be quoted with it."""
    if "amp" in draft.fields or draft.fields.get("method") in (None, "inference"):
        return
    if draft.fields.get("stack.result") is not None and draft.fields.get("stack.trainer") == OWN_LOOP:
        draft.say("amp", False if _QUOTED_PASS.search(remarks_of(record)) else [True, False])


def say_pass(draft: Draft, record: Record, reading: dict[str, Any]) -> None:
    """A figure of training that is of a pass without gradients is none of training's peak."""
    training = draft.fields.get("method") not in (None, "inference")
    if (
        training
        and reading["metric"] in ("allocated", "reserved", "device")
        and _NO_BACKWARD.search(remarks_of(record))
    ):
        reading["apart"] = "of a pass without gradients, after training"


def _named_until(text: str) -> str | list[str]:
    """How long a loop has a name for what the model gives: by its own line, else either."""
    named, unnamed = _NAMED.search(text), _UNNAMED.search(text)
    if bool(named) == bool(unnamed):
        return [UNTIL_LOSS, UNTIL_NEXT]
    return UNTIL_NEXT if named else UNTIL_LOSS
