"""Whatever stands behind the keys of a file: it is read or refused, and never a bug."""

import re
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.spec.training_configs.reading import read
from toolkit.checks.refusals import REFUSALS
from toolkit.checks.situations.answer import answer
from toolkit.checks.situations.space import TooManySettingsError
from toolkit.codes import CODES
from toolkit.finding import Severity
from toolkit.spec import training_configs
from toolkit.spec.training_configs import TOOLS

SOURCES = sorted(Path(training_configs.__file__).parent.glob("*.py"))
KEYS = sorted({key for file in SOURCES for key in re.findall(r'"([a-z][a-z0-9_]{3,40})"', file.read_text("utf-8"))})
VALUES = (
    "null", "[]", "{}", "true", "No", "0", "1", "4", "-1", "1e9", "2.5", '"text"', "[1, {a: b}]", "{a: {b: [c]}}",
    "${lora_r}", ".inf", "0x10", "1:30", "~", "9" * 40, "auto", "none", "lora", "qlora", "full", "sft", "bf16",
    "float16", "nf4", "adamw_torch", "flash_attention_2", "zero3.json", "full_shard", "[q_proj, v_proj]", "all",
    "Qwen/Qwen2.5-0.5B", "/etc/passwd", "torchtune.models.llama2.lora_llama2_7b", '"\\u202e"', "!!int 3",
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=14),
    st.sampled_from((*TOOLS, None)),
    st.booleans(),
)
def test_nothing_that_a_file_says_is_a_bug(said: dict[str, str], tool: str | None, whole: bool) -> None:
    text = "".join(f"{key}: {value}\n" for key, value in said.items())
    flags = {"model": "Qwen/Qwen2.5-0.5B", "method": "full"} if whole else {}
    with tempfile.TemporaryDirectory() as folder:
        found = read(Path(folder), text, tool, **flags)
    lines = text.count("\n") + 1
    for finding in found.findings:
        assert finding.code in CODES
        assert finding.place.line <= lines
        assert "\n" not in str(finding)
    assert (found.scenario is None) == any(one.severity is Severity.ERROR for one in found.findings)
    if found.scenario is None:
        return
    try:
        answer(found.scenario, Path())
    except (*REFUSALS, TooManySettingsError):
        return
