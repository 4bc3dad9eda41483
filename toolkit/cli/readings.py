"""Convert records of measurements that others published into readings: a header, and one run a line of JSON.

The records of a source are lines of JSON in a file named after the source, such as torchtitan.jsonl. Names of models,
GPUs, dtypes and strategies are translated into those of this toolkit; what it has no name for is kept beside the
scenario. A source that the toolkit does not know is converted by a general rule: what its records leave open stays
open. Whatever could not be read is reported with its line. If a line is no valid record, nothing is written.

A record is an object with the keys id, config_id (the same for all readings of one run), grade, source {repo, commit,
path, url}, model, model_as_published, task, weight_dtype, quantization, compute_dtype, batch_size, grad_accum, seq_len,
gen_len, gradient_checkpointing, attn_impl, optimizer, lora {r, alpha, dropout, targets}, parallelism {gpus, kind}, gpu,
metric, value, unit, value_bytes (null where GB or GiB is not decided), versions {package: release}, verbatim, notes;
null means that the source does not say. A record may also have `fields` of a scenario by name ("stack.trainer"),
`beyond` for facts that no field expresses, and `apart` for why a figure is not what it seems.
`toolkit accuracy FOLDER` compares the readings.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import hint, reason_of, write_whole
from toolkit.finding import Finding, Severity, printable

MAX_WARNINGS = 40
"""The most warnings that are printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit readings`."""
    parser.add_argument("records", nargs="+", type=Path, metavar="SOURCE.jsonl", help="records of one source each")
    parser.add_argument(
        "--out", type=Path, default=Path("specs/published"), metavar="FOLDER", help="(default: specs/published)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Converts every file, and prints what could not be read and how many runs each gave."""
    return COULD_NOT if [path for path in arguments.records if not _converted(path, arguments.out)] else 0


def _converted(path: Path, out: Path) -> bool:
    """Converts the records of a file; returns whether that worked. With a mistake in it nothing is written."""
    from toolkit.accuracy.convert.slug import slug_problem
    from toolkit.accuracy.convert.write import convert
    from toolkit.spec.walk import READINGS, READINGS_HEADER

    name = printable(str(path))
    problem = slug_problem(path.stem)
    if problem:
        hint(f"{name}: {problem}")
        return False
    try:
        conversion = convert(path.stem, _lines(path), str(path))
        _say(conversion.findings)
        if not conversion.sound:
            return False
        folder = out / path.stem
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / READINGS_HEADER, conversion.header)
        write_whole(folder / READINGS, conversion.readings)
    except _UnreadableError as error:
        hint(f"{name}: {error}")
        return False
    except OSError as error:
        hint(f"{name}: {reason_of(error)}")
        return False
    hint(f"{name}: {conversion.readings.count(chr(10)):,} runs in {printable(str(folder))}")
    return True


class _UnreadableError(Exception):
    """A file that cannot be read as lines of text."""


def _lines(path: Path) -> list[str]:
    """The lines of a file. Raises _UnreadableError for one that is too large, or no text."""
    from toolkit.accuracy.convert.form import MAX_BYTES

    with path.open("rb") as stream:
        read = stream.read(MAX_BYTES + 1)
    if len(read) > MAX_BYTES:
        raise _UnreadableError(f"more than {MAX_BYTES:,} bytes: split the file")
    try:
        return read.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise _UnreadableError(str(error)) from error


def _say(findings: Sequence[Finding]) -> None:
    """Prints every mistake, and the first warnings."""
    warnings = [one for one in findings if one.severity is not Severity.ERROR]
    for finding in findings:
        if finding.severity is Severity.ERROR or finding in warnings[:MAX_WARNINGS]:
            hint(str(finding))
    if len(warnings) > MAX_WARNINGS:
        hint(f"... and {len(warnings) - MAX_WARNINGS:,} more that were not read")
