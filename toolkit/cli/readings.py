"""Convert records of measurements that others published into readings: a header, and one run a line of JSON.

The records of a source are lines of JSON in a file called after the source, such as torchtitan.jsonl. Names of
models, GPUs, dtypes and strategies become those of this toolkit; what it has no name for is kept beside the scenario.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import hint, reason_of, write_whole
from toolkit.finding import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit readings`."""
    parser.add_argument("records", nargs="+", type=Path, metavar="SOURCE.jsonl", help="records of one source each")
    parser.add_argument(
        "--out", type=Path, default=Path("specs/published"), metavar="FOLDER", help="(default: specs/published)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Converts every file, and says how many runs each became."""
    from toolkit.accuracy.convert.write import BrokenRecordError, UnknownSourceError, converted
    from toolkit.spec.walk import READINGS, READINGS_HEADER

    for path in arguments.records:
        shown = printable(str(path))
        try:
            with path.open(encoding="utf-8") as lines:
                header, readings = converted(path.stem, lines)
            folder = arguments.out / path.stem
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / READINGS_HEADER, header)
            write_whole(folder / READINGS, readings)
        except (UnknownSourceError, BrokenRecordError, UnicodeDecodeError) as error:
            hint(f"{shown}: {error}")
            return COULD_NOT
        except OSError as error:
            hint(f"{shown}: {reason_of(error)}")
            return COULD_NOT
        hint(f"{shown}: {readings.count(chr(10)):,} runs in {printable(str(folder))}")
    return 0
