"""Whatever a document holds: its draft is a spec without a mistake, and every claim finds its figure again."""

from datetime import date
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.checks.drafted import JudgedDraft, Target, judged_draft
from toolkit.documents.bind import bind
from toolkit.documents.document import Document
from toolkit.documents.draft.beyond import cards_beyond, changes_beyond
from toolkit.documents.scan.scan import scan

ROOT = Path("/nowhere")
TODAY = date(2026, 11, 21)

HOSTILE = [
    '"',
    "'",
    "\\",
    "{}",
    "{",
    "}}",
    "{*}",
    "#",
    ": ",
    "- ",
    "!!python/object",
    "&a",
    "*a",
    "<<",
    "|",
    "\t",
    "\u202e",
    "\u200b",
    "\x07",
    "\x00",
    "\x85",
    "\u2028",
    "\ufeff",
    "\ud800",
    "\U000e0041",
    "%YAML 1.1",
    "---",
    "...",
    "`",
    "``",
    "${x}",
    "<b>",
    "-->",
    "<!--",
    "☃",
    "\\N",
    "\u0000a",
    "yes",
    "null",
    "~",
    "1_000",
    "]",
    "[x](y)",
    "> ",
    "1. ",
    "# H",
    "\n\n",
    "  \n",
    "\r\n",
    "\r",
    "=",
    "≈",
]
FIGURES = [
    "14 GB",
    "~94 GB",
    "13,5 Go",
    "7B parameters",
    "0.07% of parameters",
    "16GB VRAM",
    "needs ~24 GB of VRAM",
    "fits in 16 GB",
    "RTX 4090 (24GB)",
    "7B × 2 bytes = 14 GB",
    "25GB → 14GB, 44% less",
    "Llama-2-7B in fp16 needs 14 GB of VRAM",
    "Qwen2.5-Coder-7B with QLoRA takes 9 GB of GPU memory",
    "weights 15.2 GB",
    "batch size 2",
    "sequence length 512",
    "full fine-tuning in fp32",
    "LoRA",
    "4-bit NF4",
    "inference",
    "A100 80GB",
    "显存 24G",
    "≈ **8 GB**",
    "optimizer states 56 GB",
    "gradients 28 GB",
    "1 GB = 10^9 bytes",
    "âœ… 16 GB",
    "12â€“16 GB of VRAM",
    "20 GB of disk",
]
TABLE = (
    "\n\n| Model | VRAM (GB) | Fits 24GB? |\n|---|---|---|\n| Llama-2-7B | 14 | ✅ |\n| Qwen2.5-7B | 26 | ❌ |\n\n",
    "\n\n| Method | {0} |\n|---|---|\n| QLoRA {1} | {0} |\n| LoRA | 16 GB |\n\n",
    "\n\n<table><tr><td>{1}</td><td>VRAM</td></tr><tr><td>Llama-2-7B</td><td>{0}</td></tr></table>\n\n",
    "\n\n```text\nVRAM: {0}\nVRAM: {0} {1}\n```\n\n",
    "\n\n## {1} Memory\n\n{0}\n\n## {1} Memory\n\n{0} of VRAM\n",
)

words = st.one_of(
    st.sampled_from(FIGURES),
    st.sampled_from(FIGURES),
    st.sampled_from(HOSTILE),
    st.text(max_size=8),
    st.sampled_from(["\n", "\n\n", " ", ". ", " and ", "# ", "- "]),
)
filled = st.builds(
    lambda form, figure, other: form.replace("{0}", figure).replace("{1}", other),
    st.sampled_from(TABLE),
    st.sampled_from(FIGURES),
    st.sampled_from([*HOSTILE, *FIGURES]),
)
documents = st.lists(st.one_of(words, words, words, filled), max_size=24).map(" ".join)


def drafted(text: str) -> JudgedDraft:
    return judged_draft(Document("guide.md", text), Target(ROOT / "guide.claims.yaml", ROOT, "guide.md"), TODAY)


@settings(max_examples=120, deadline=None)
@given(documents)
def test_a_draft_is_a_spec_without_a_mistake(text: str) -> None:
    found = drafted(text)
    assert found.findings == ()
    if found.draft.claims:
        assert found.report is not None
        assert len(found.report.judgements) == len(found.draft.claims)


@settings(max_examples=60, deadline=None)
@given(documents)
def test_every_slot_holds_what_was_found(text: str) -> None:
    found = drafted(text)
    if found.report is None:
        return
    scanned = scan(Document("guide.md", text))
    claims = (*scanned.claims, *changes_beyond(scanned), *cards_beyond(scanned))
    figures = {scanned.written(claim.start, claim.end).strip() for claim in claims}
    for claim in bind(found.report.spec, scanned.document).claims:
        if claim.claim.quantity != "arithmetic":
            assert " ".join((claim.slot_text or "").split()) in {" ".join(figure.split()) for figure in figures}


@settings(max_examples=60, deadline=None)
@given(documents)
def test_a_figure_is_bound_or_listed(text: str) -> None:
    found = drafted(text)
    scanned = scan(Document("guide.md", text))
    lines = {claim.line for claim in found.draft.claims} | {loose.line for loose in found.draft.loose}
    assert {scanned.place(claim.start, claim.end).line for claim in scanned.claims} <= lines
