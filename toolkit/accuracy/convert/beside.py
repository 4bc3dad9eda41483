"""What remarks say of inference that moves memory and no field says, of releases, and of a card that bounds nothing."""

from __future__ import annotations

import re
from typing import Any

from toolkit.accuracy.convert.draft import MAX_REMARK, Draft, Record
from toolkit.accuracy.convert.remarks import remarks_of

_NOT = r"(?<!no )(?<!not )(?<!without )(?<!without a )(?<!or )"
_BESIDE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("generation", re.compile(rf"\bnum_beams ?= ?(?!1\b)\d+|{_NOT}\bbeam[- ]search\b")),
    ("generation", re.compile(
        rf"{_NOT}\bspeculative (?:decoding|sampling)\b|{_NOT}\bassist(?:ed|ant)[ _](?:decoding|generation|model)\b"
        rf"|{_NOT}\bprompt[ _-]lookup\b"
    )),
    ("outputs", re.compile(r"\boutput_(?:hidden_states|attentions|scores|logits) ?= ?true\b")),
    ("parallel", re.compile(
        rf"{_NOT}\b(?:cpu|disk)[ -]offload\w*|\b(?:layers|weights|experts|modules) (?:are |were )?offloaded\b"
        r"|\boffloaded to (?:the )?(?:cpu|disk|main memory)\b"
    )),
    ("adapters", re.compile(r"\bwith (?:an? |the )?(?:peft |lora )adapters?\b(?![^;]{0,30}(?<!not )\bmerged\b)")),
)  # fmt: skip
_MERGED = re.compile(r"(?<!not )\b(?:merged|merge_and_unload)\b(?!(?:\(\))? (?:is|was|are|were) (?:not|never)\b)")
_PASS = re.compile(
    r"\b(?:one|a single|single) forward(?: pass)?\b|\b(?:forward(?: pass)?|prefill) (?:only|alone)\b|\bno generation\b"
)
_RELEASE = re.compile(r"(?<![\w/.-])(vllm|transformers) ?(?:==|version |v)? ?(\d+\.\d+(?:\.\d+)?)(?![\w.]*\d|\+|\.dev)")
_SOFTER = re.compile(r"(?:until|before|since|from|than|of|needs|asks|requires|to|or|and|>=|<=|>|<) ?$")


_SPILLS = re.compile(r"\b(?:wsl2?|wddm)\b|(?:^|[;,(/] ?|\b(?:on|under|native|microsoft) )windows 1[01]\b(?! tok)")
_UP_TO = re.compile(r"\b(?:up to|at most) (\d{1,7}) (?:new|generated|output) tokens\b")


def say_spill(draft: Draft, record: Record, reading: dict[str, Any]) -> None:
    """Of what torch reserves under Windows or WSL the card is no bound: NVIDIA's driver there goes on in main memory.

    Its cudaMalloc does not fail, so that the caching allocator never gives its free segments back; no field says so.
    """
    if reading["metric"].startswith("reserved") and "gpu" in draft.fields and _SPILLS.search(remarks_of(record)):
        draft.notes.append("the GPU is left out: under WSL or Windows it does not bound what torch reserves")
        del draft.fields["gpu"]


def say_beside(draft: Draft, record: Record) -> None:
    """What of a run of inference nobody follows stands beyond; a pass alone generates nothing."""
    if draft.fields.get("method") != "inference":
        return
    text = remarks_of(record)
    stated = record.get("fields") or {}
    adapted, merged = [name for name in draft.fields if name.startswith("lora.")], _MERGED.search(text)
    known = not merged and {"lora.rank", "lora.targets"} <= {*adapted}
    if (most := _UP_TO.search(text)) and record["gen_len"] == int(most[1]) > 1:
        draft.say("generated_length", {"from": 1, "to": record["gen_len"]})  # a reply may end before
    followed = {field.partition(".")[0] for field in stated} | ({"adapters"} if known else set())
    for name, sign in _BESIDE:
        if name not in followed and (found := sign.search(text)):
            draft.beyond.setdefault(name, found[0][:MAX_REMARK])
    if adapted and not merged and not known:
        draft.beyond.setdefault("adapters", "inference with an adapter of its own")
    for name in () if known else adapted:
        del draft.fields[name]
    if "generated_length" not in draft.fields and "sequence_length" in draft.fields and _PASS.search(text):
        draft.say("generated_length", 0)
        if "stack.trainer" not in draft.fields:
            draft.say("stack.trainer", "plain")


def say_stated_releases(draft: Draft, record: Record) -> None:
    """Releases in a sentence, where the record's own field of them has none of that package and no other is named."""
    text = remarks_of(record)
    found: dict[str, set[str]] = {}
    for match in _RELEASE.finditer(text):
        surely = not _SOFTER.search(text[max(match.start() - 12, 0) : match.start()])
        found.setdefault(match[1], set()).add(match[2] if surely else "")
    for package, versions in found.items():
        if f"stack.{package}" not in draft.fields and len(versions) == 1 and "" not in versions:
            draft.say(f"stack.{package}", versions.pop())
