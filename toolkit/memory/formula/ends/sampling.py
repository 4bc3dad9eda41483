"""What is there while the next token is drawn of its scores, beside the cache.

Source: transformers generation/utils.py, GenerationMixin._sample, and generation/logits_process.py. The loop has names
for the model's result, a float32 copy of the last token's logits, and the scores and probabilities of the token before;
each processor gives new scores. torch.sort of more than 4,096 columns: aten/src/ATen/native/cuda/SortStable.cu, and
cub/device/dispatch/dispatch_radix_sort.cuh, InvokeOnesweep, which has second buffers for keys and for values.
"""

from __future__ import annotations

from packaging.version import Version

from toolkit.frozen import frozen
from toolkit.memory.context import Context
from toolkit.memory.formula.ends.logits import FLOAT, LOGITS
from toolkit.memory.libraries.transformers_versions import behaviour
from toolkit.memory.libraries.versions import older
from toolkit.memory.refusal import PADS, UnsupportedRow
from toolkit.memory.size import BYTES
from toolkit.spec.fields.sampling import GREEDY, TOP_P

SCORES, SORTED, SCRATCH = "drawn_scores", "sorted_scores", "sort_scratch"
Rows = tuple[tuple[str, int], ...]

ONE_LIST_FROM = Version("4.45")
"""Before, warpers were a list of their own: the scores of the token before were let go of first."""
SORTS_IN_PLACE = 4_096
"""So few columns are sorted within blocks (Sort.cpp, should_use_small_sort)."""
ALONE_FROM = 1_000_000
"""Rows of so many columns are sorted one after the other, as one row is."""
SEGMENTED_FROM = 128
"""So many rows are sorted by segments."""
KEY, INDEX, PAIR = BYTES["fp32"], BYTES["int64"], 2 * BYTES["int32"]


@frozen
class Drawing:
    """The rows while the first token is drawn, and each later one."""

    first: Rows
    later: Rows


def drawing(context: Context) -> Drawing | None:
    """What drawing a token needs, in bytes by row; None where none is drawn."""
    setting, architecture = context.setting, context.architecture
    if setting.sampling == GREEDY or setting.trains or not (context.generates and setting.generated_length):
        return None
    _refuse(context)
    entries = setting.batch_size * architecture.vocabulary
    tokens = setting.sequence_length if behaviour(architecture, setting).own_head else 1
    sorts = setting.sampling == TOP_P
    made = entries * KEY if sorts else entries * (2 * KEY + BYTES["bool"])
    shared: Rows = ((FLOAT, entries * KEY),)
    if sorts:
        shared += (
            (SORTED, entries * (KEY + INDEX)),
            (SCRATCH, sort_scratch(setting.batch_size, architecture.vocabulary)),
        )
    logits = entries * BYTES[context.numerics.head]
    first = ((LOGITS, logits * tokens), (SCORES, made), *shared)
    return Drawing(first, ((LOGITS, logits), (SCORES, made + 2 * entries * KEY), *shared))


def sort_scratch(rows: int, columns: int) -> int:
    """Bytes that torch.sort needs beside what it is given and gives, of float32 rows.

    One row: its indices, and second buffers for keys and indices. Several at once: pairs of row and index twice, sorted
    keys, and second buffers for keys and pairs. From 128 on: indices, and second buffers.
    """
    if columns <= SORTS_IN_PLACE:
        return 0
    second = KEY + INDEX
    if rows == 1 or columns >= ALONE_FROM:
        return columns * (INDEX + second)
    each = INDEX + second if rows >= SEGMENTED_FROM else 2 * PAIR + KEY + KEY + PAIR
    return rows * columns * each


def _refuse(context: Context) -> None:
    setting = context.setting
    for known, covered in (
        (f"transformers since {ONE_LIST_FROM}", not older(setting, "transformers", ONE_LIST_FROM)),
        ("transformers' generate()", setting.stack.trainer in PADS),
        ("one GPU", setting.parallel.gpus == 1),
    ):
        if not covered:
            raise UnsupportedRow(SCORES, f"no formula for sampled tokens yet, except with {known}")
