"""Nothing that stands in a document gets out of the quotes and comments that it is written in."""

import pytest

from tests.documents.draft.drafts import drafted
from toolkit.spec.yaml.compose import compose
from toolkit.spec.yaml.node import Entries

PAYLOADS = [
    '"\ndocument: /etc/passwd\n#',
    "'",
    "{a: b}",
    "# no comment",
    "!!python/object/apply:os.system [x]",
    "&a *a",
    "- a",
    "a: b",
    "|",
    ">",
    "%YAML",
    "\\u0022",
    "\x1b[31m",
    "\u202egnp",
    "\u2028",
    "\x85",
    "yes",
    "null",
    "1e3",
    "0x1F",
    "=",
    "<<",
    "?",
    "`",
    "@",
    "\U0001f600",
    "\U000e0041",
]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "form",
    [
        "# {0}\n\nInference with Qwen2.5-7B in bf16 takes 16 GB of VRAM.\n",
        "# A\n\n{0} Qwen2.5-7B in bf16 takes 16 GB {0} of VRAM.\n",
        "# A\n\n| {0} | VRAM {0} |\n|---|---|\n| Qwen2.5-7B {0} | 16 GB {0} |\n",
        "# A\n\nIt took 4 hours {0} and 3% {0} $5.\n\nQwen2.5-7B in bf16 takes 16 GB of VRAM.\n",
    ],
)
def test_hostile_text_stays_text(form: str, payload: str) -> None:
    found = drafted(form.replace("{0}", payload))
    assert found.findings == ()
    node, findings = compose(found.text, "draft")
    assert findings == []
    assert isinstance(node, Entries)
    assert set(node) <= {"document", "title", "values", "scenarios", "claims"}
    assert node["document"] == "guide.md"
    assert all(sign.isprintable() or sign == "\n" for sign in found.text if sign != "\u3000")


def test_values_are_not_typed_again() -> None:
    found = drafted("# Inference with Qwen2.5-7B in bf16\n\nIt takes 16 GB of VRAM at a batch size of 3.\n")
    said = [line.partition("  #")[0] for line in found.text.splitlines() if not line.lstrip().startswith("#")]
    assert "16" not in "\n".join(line for line in said if "bf16" not in line)
    assert not any("batch_size: 3" in line for line in said)


def test_open_fields_are_asked_about_where_they_are_left_open() -> None:
    found = drafted("QLoRA on Qwen2.5-7B takes 9 GB of VRAM.\n\nAnother run had a batch size of 4.\n")
    assert "    # batch_size: how many sequences at once? not said; taken: 1 to 8; line 3 names 4\n" in found.text
    assert "    # lora.rank: which rank? not said; taken: 4 to 64\n" in found.text


def test_figures_that_nothing_holds_are_listed_with_their_lines() -> None:
    found = drafted("QLoRA on Qwen2.5-7B takes 9 GB of VRAM.\n\nIt took 4 hours and $5.\n")
    assert "# line 3: 4 hours (a time)\n" in found.text
    assert "# line 3: $5 (a price)\n" in found.text
