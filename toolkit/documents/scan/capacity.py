"""Whether an amount is one that a card or a machine has, not one that is used."""

from __future__ import annotations

import re
from typing import Final

from toolkit.documents.scan import cues
from toolkit.documents.scan.around import Around
from toolkit.documents.scan.names import gpus_in
from toolkit.documents.scan.pieces import Kind

_CLOSE: Final = 48
_TAIL: Final = 24
_CARD_NAME: Final = re.compile(
    r"(?:\b(?:Ascend|Gaudi|Jetson|Arc|Radeon|Tesla|TPU|Instinct)\b(?! VM)|昇腾)[\w .-]{0,24}[\s*_`(（:,—–]{0,6}\Z"
)
"""Makers and kinds of cards of which the fact table need not know each."""

_HOST_RAM: Final = re.compile(r"[\s*_`]*(?:of )?(?:system|cpu|host|server) (?:ram|memory)\b", re.IGNORECASE)
_RAM: Final = re.compile(r"[\s*_`]*(?:of )?(?:system |cpu |host |ddr[0-9] ?)?(?:ram|ddr[0-9])\b", re.IGNORECASE)
_MACHINES: Final = re.compile(
    r"\W*(?:hardware|machine|system|devices?|gpus?|cards?|host|硬件|硬體|显卡|机器|하드웨어|ハードウェア|matériel|máquina)\W*",
    re.IGNORECASE,
)
"""Headings of columns of machines or cards, whose amounts are what these have: "CPU server (128 GB)"."""

_HOST: Final = re.compile(r"\bcpu\b|\bserver\b|\bmac\w*|\blaptop\b|\bpc\b|\bram\b", re.IGNORECASE)
_CARD_LABEL: Final = re.compile(r"(?:\A|\n)[\s*_`-]*gpus?[\s*_`]*[:：][^\n:：]{0,32}\Z", re.IGNORECASE)
_OWN: Final = re.compile(r"\b(?:with(?: only| just)?|for|on|only|single)[\s(*_`~]*\Z", re.IGNORECASE)
"""What leads to the memory of a card that is not named: "on 16 GB VRAM"."""

_LEADS_TO: Final = re.compile(
    r"s?\+?[\s*_`(（\[:：,/—–-]*(?:also\s)?(?:with|has|have|having|w/|of|at|from)?\s?(?:\d{1,2}[\d.-]*\s?GB\s?(?:/"
    r"|or)\s?)?[\s*_`(\[]*(?:its\s)?"
)
"""What may stand between the name of a card and its memory."""


def has_card_beside(around: Around) -> bool:
    """Whether the amount is one that a card has: "RTX 4090 (24 GB)", "24 GB GPU", the row of a card under "VRAM"."""
    if cues.of_a_card(around.after) or (cues.of_a_holder(around.before) and not _HOST_RAM.match(around.after)):
        return True
    before = around.before[-_CLOSE:]
    named = gpus_in(before)
    if named and _LEADS_TO.fullmatch(before[named[-1].end :]) and not _RAM.match(around.after):
        return True
    if _CARD_NAME.search(before):
        return True
    following = gpus_in(around.after[:_CLOSE])
    if following and re.fullmatch(r"[\s*_`-]*(?:nvidia\s)?", around.after[: following[0].start], re.IGNORECASE):
        return True
    if _CARD_LABEL.search(before) or (_OWN.search(before) and cues.of_its_own(around.after)):
        return True
    if cues.is_labelled_memory(around.before) and gpus_in(around.lead[-120:] + " " + around.before):
        return True
    if re.match(r"[\s*_`]*\(", around.after) and (inside := gpus_in(around.after[:_CLOSE])) and inside[0].start < 6:
        return not re.search(r"[0-9]", around.after[: inside[0].start])
    if (
        cues.is_had(around.after)
        and cues.component(around.after[:_TAIL]) != "disk"
        and cues.speaks_of_memory(around.sentence)
    ):
        return True
    listed = around.kind is Kind.CELL and bool(gpus_in(around.row)) and not cues.says_used(around.column)
    return listed and cues.component(around.column) in {"peak_memory", "host_memory"}


def of_a_machine(around: Around) -> str | None:
    """The quantity of an amount in a column of machines: of their main memory, or of the memory of their cards."""
    if _MACHINES.fullmatch(around.column) is None:
        return None
    return "host_memory" if _HOST.search(around.sentence) else "gpu_memory"
