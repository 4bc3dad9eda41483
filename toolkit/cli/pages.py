"""Assemble the documentation tree: hand-written pages, documents with their claims marked, guides and model cards."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from toolkit.cli.main import COULD_NOT
from toolkit.cli.output import add_root, emit, hint, reason_of
from toolkit.finding import printable

DEFAULT = "specs"
NEEDED = "jinja2"

Pages = Sequence[tuple[str, str]]
"""Paths of pages and their texts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `toolkit pages`."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help=f"specs and folders of specs (default: {DEFAULT}/)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the tree goes (default: build/docs)")
    parser.add_argument("--site", type=Path, metavar="FOLDER", help="hand-written pages and assets (default: site/)")
    add_root(parser, "specs, documents and site")
    parser.add_argument(
        "--accuracy", type=Path, metavar="FOLDER", help="add the tables of errors against the readings of this folder"
    )
    parser.add_argument("--watch", action="store_true", help="keep running, and write pages again when a file changes")


def run(arguments: argparse.Namespace) -> int:
    """Writes the pages and lists what was written."""
    root: Path = arguments.root
    paths = [Path(path) for path in arguments.paths] or [root / DEFAULT]
    if problem := _usage(paths, root, arguments.site):
        hint(problem)
        return COULD_NOT
    hand_written = arguments.site or root / "site"
    out = arguments.out or root / "build" / "docs"
    more = accuracy_tables(arguments.accuracy) if arguments.accuracy else ()
    if more is None:
        return COULD_NOT
    build = partial(_build, paths, root, hand_written, out, more)
    code = build()
    if arguments.watch:
        _watch([*paths, hand_written], build)
    return code


def accuracy_tables(folder: Path) -> Pages | None:
    """The pages with the tables of errors; None, after printing why, where readings cannot be read."""
    from toolkit.accuracy.score import score
    from toolkit.accuracy.table import table
    from toolkit.cli.accuracy_traced import kept_table
    from toolkit.cli.readings_of import sources_in
    from toolkit.pages.accuracy_pages import accuracy_pages
    from toolkit.report.accuracy_text import accuracy_markdown
    from toolkit.report.accuracy_traced import traced_markdown

    sources = sources_in([folder])
    if sources is None:
        return None
    estimates = table(score([source for source, _ in sources], folder))
    return tuple(accuracy_pages(accuracy_markdown(estimates), traced_markdown(kept_table(sources))))


def _usage(paths: Sequence[Path], root: Path, hand_written: Path | None) -> str | None:
    if find_spec(NEEDED) is None:
        return f"pages need {NEEDED}, which is not installed: pip install 'vram-toolkit[pages]'"
    if not root.is_dir():
        return f"--root {printable(str(root))} is not a folder"
    if hand_written is not None and not hand_written.is_dir():
        return f"--site {printable(str(hand_written))} is not a folder"
    for path in paths:
        if not path.resolve().is_relative_to(root.resolve()):
            return f"{printable(str(path))} lies outside the root; name the folder of specs and documents by --root"
    return None


def _build(paths: Sequence[Path], root: Path, hand_written: Path, out: Path, more: Pages) -> int:
    from toolkit.checks.run import check_paths
    from toolkit.pages.site import SameNameError, site
    from toolkit.pages.write import ForeignFolderError, write_tree

    result = check_paths(paths, root, date.today())
    for finding in result.all_findings:
        hint(str(finding))
    if not result.reports:
        hint("no document was judged, so there are no pages")
        return COULD_NOT
    keep = [hand_written, *(report.spec.path.parent for report in result.reports)]
    try:
        files = site(result, root, hand_written if hand_written.is_dir() else None, more)
        done = write_tree(files, out, keep)
    except (ForeignFolderError, SameNameError) as problem:
        hint(_said(problem))
        return COULD_NOT
    except OSError as error:
        hint(f"cannot write {printable(str(out))}: {reason_of(error)}")
        return COULD_NOT
    lines = [f"wrote {out / path}" for path in done.written] + [f"removed {out / path}" for path in done.removed]
    lines.append(f"{len(done.written)} written, {len(done.removed)} removed, {done.unchanged} unchanged in {out}")
    emit("".join(f"{printable(line)}\n" for line in lines))
    return COULD_NOT if result.unreadable else 0


def _said(problem: Exception) -> str:
    from toolkit.pages.site import SameNameError

    if isinstance(problem, SameNameError):
        return f"the hand-written {problem} has the name of a page that is made; give it another"
    return str(problem)


def _watch(paths: Sequence[Path], build: Callable[[], int]) -> None:
    """Rebuilds when a file changes, looking once a second, until it is interrupted."""
    from toolkit.pages.templates import folder

    watched = [*paths, folder()]
    seen = set(_stamps(watched))
    while True:
        time.sleep(1)
        if (now := set(_stamps(watched))) != seen:
            seen = now
            build()


def _stamps(folders: Iterable[Path]) -> Iterator[tuple[str, int, int]]:
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            try:
                status = path.stat()
            except OSError:
                continue
            yield str(path), status.st_mtime_ns, status.st_size
