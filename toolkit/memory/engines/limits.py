"""The limits of vLLM's profile run: which engine runs, and how many tokens and sequences it processes at once.

Sources: vllm engine/arg_utils.py and config.py of 0.6.4, 0.6.5, 0.6.6, 0.7.3, 0.8.1 to 0.8.3, 0.8.5, 0.9.0, 0.9.2,
0.10.2, 0.11.0, 0.12.0 and 0.19.0.
"""

from __future__ import annotations

from packaging.version import Version

from toolkit.facts.gpu import Card
from toolkit.frozen import frozen
from toolkit.memory.refusal import UnsupportedRow
from toolkit.spec.settings.setting import Setting
from toolkit.spec.settings.stack_rules import release

ROW = "profile_run"

PEAK_IS_ALLOCATED = Version("0.6.4")
"""Since then the profile run counts the peak of live tensors; before, what torch's allocator held (worker.py)."""

FIRST_V1 = Version("0.8")
"""Since then the new engine runs by default (vllm/envs.py, VLLM_USE_V1), on cards from Ampere on until 0.11."""

LAST_V0 = Version("0.11")

READ_UNTIL = Version("0.20")
"""The first release that was not read."""

CHUNKS_OF_2048 = Version("0.6.5")
"""Before, chunked prefill took 512 tokens at a time."""

LONG = 32_768
"""The older engine splits prompts into chunks if it accepts longer ones than this, unless layers have a window."""

BY_NAME, BY_MEMORY = Version("0.8.3"), Version("0.8.5")
"""Up to the first release only H100 and H200 took more tokens, and all cards 1,024 sequences; from the second on the
card's memory decides."""

A100_AS_OTHERS = Version("0.9")
"""Since then an A100 has the defaults of smaller cards (vLLM pull request 17885)."""

LARGE = 70 << 30
"""Cards with at least this many bytes have larger defaults."""

AMPERE = 80
AMD = "gfx"


@frozen
class Limits:
    """How much one step takes at most. `newer` is the engine that runs by default since 0.8."""

    tokens: int
    sequences: int
    newer: bool


def limits_of(setting: Setting, card: Card, longest: int, *, windowed: bool) -> Limits:
    """The limits of a server's profile run; `longest` is the longest sequence that it accepts.

    Raises UnsupportedRow for a release that was not read.
    """
    version = release(setting.stack.versions, "vllm")
    if version is None:
        raise UnsupportedRow(ROW, "vLLM's engine and its defaults depend on the release: state stack.vllm")
    if not PEAK_IS_ALLOCATED <= version < READ_UNTIL:
        raise UnsupportedRow(ROW, f"no formula for the profile run of vLLM {version}: 0.6.4 to 0.19 are covered")
    newer = _runs_newer(version, card)
    said = setting.engine.get("max_num_batched_tokens"), setting.engine.get("max_num_seqs")
    if newer and BY_NAME < version < BY_MEMORY and not all(said):
        raise UnsupportedRow(ROW, f"the defaults of vLLM {version} are not known: state both limits of a step")
    if newer:
        tokens, sequences = _of_newer(version, card)
    else:
        chunked = longest > LONG and not windowed
        small = 512 if version < CHUNKS_OF_2048 else 2048
        tokens, sequences = small if chunked else max(longest, 2048), 256
    tokens, sequences = int(said[0] or tokens), int(said[1] or sequences)
    return Limits(tokens, min(sequences, tokens), newer)


def _of_newer(version: Version, card: Card) -> tuple[int, int]:
    """The defaults of a server; those of LLM() are larger."""
    names = [member.name for member in card.members]
    if version <= BY_NAME:
        return (8192 if all("H100" in name or "H200" in name for name in names) else 2048), 1024
    large = min(member.usable_low for member in card.members) >= LARGE
    if version >= A100_AS_OTHERS and any("A100" in name for name in names):
        large = False
    return (8192, 1024) if large else (2048, 256)


def _runs_newer(version: Version, card: Card) -> bool:
    """Whether the newer engine runs; refused by name where cards with one name differ."""
    kinds = [member.architecture for member in card.members if not member.architecture.startswith(AMD)]
    if not kinds:
        raise UnsupportedRow(ROW, "no formula for vLLM on cards of AMD")
    if version < FIRST_V1 or version >= LAST_V0:
        return version >= LAST_V0
    known = {int(kind.removeprefix("sm_")) >= AMPERE for kind in kinds}
    if len(known) != 1:
        raise UnsupportedRow(ROW, f"GPUs with {card.name} differ in the engine that vLLM runs on them")
    return known.pop()
