"""The entry point: finds the subcommand, runs it, and turns whatever happens into an exit code.

0: nothing gates. 1: findings that gate. 2: the tool could not do its job. A subcommand is imported only when it
is called, so that no command pays for the imports of another.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import NoReturn

import toolkit
from toolkit.finding import printable

COMMANDS: Mapping[str, str] = {
    "check": "judge every claim that the specs make about documents",
    "scan": "find the figures that documents state about memory, and judge what needs no spec",
    "fix": "repair quotes that moved or changed their typography; numbers of documents with --unsafe-fixes",
    "draft": "draft the spec of a document: scenarios, claims bound by quotes, and what is still to be asked",
    "estimate": "show where a scenario's memory goes, and which GPUs it fits",
    "trace": "run the real training code without weights or a GPU, and account every byte",
    "measure": "measure scenarios on a GPU, one process each, and keep the records",
    "pages": "assemble the site: documents with their claims marked, guides, model cards",
    "explain": "say what a finding code or a ledger row means",
    "accuracy": "compare estimates with readings that others published",
    "readings": "convert records of published measurements into readings",
    "schema": "print the JSON Schema of a spec",
    "models": "list, show or add models",
    "software": "bring the table of releases up to date from the package index",
}
"""Every subcommand with its summary; its module has the same name."""

COULD_NOT = 2
INTERRUPTED = 130
PIPE_CLOSED = 141
TRACEBACK = "TOOLKIT_TRACEBACK"


class CouldNotError(Exception):
    """Ends a command that cannot do its job: `main` prints the message and returns COULD_NOT."""


def entry() -> NoReturn:
    """The entry point of the installed command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show "≥" must not end the run
    gc.disable()  # a short process that makes few reference cycles: collections would only cost time
    code = main(sys.argv[1:])
    gc.freeze()  # no collection at interpreter exit either
    sys.exit(code)


def main(argv: Sequence[str]) -> int:
    """Runs a command line and returns the exit code; never raises."""
    try:
        code = _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader closed the pipe (`| head`). With stdout redirected, Python does not fail again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except SystemExit as exit_:  # argparse
        return exit_.code if isinstance(exit_.code, int) else COULD_NOT
    except CouldNotError as reason:
        print(f"toolkit: {printable(str(reason))}", file=sys.stderr)
        return COULD_NOT
    except Exception as error:
        _tell_bug(error)
        return COULD_NOT
    return code


def _run(argv: Sequence[str]) -> int:
    parser = _parser()
    if not argv:
        parser.print_help(sys.stderr)
        return COULD_NOT
    name = argv[0]
    if name.startswith("-"):
        parser.parse_args([name])
        parser.error(f"name a command before {printable(name)}")
    if name not in COMMANDS:
        parser.error(_unknown(name))
    command = import_module(f"toolkit.cli.{name}")
    subparser = _Arguments(
        prog=f"toolkit {name}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparser.others = getattr(command, "OTHER_FLAGS", {})
    command.add_arguments(subparser)
    code: int = command.run(subparser.parse_args(list(argv[1:])))
    return code


class _Arguments(argparse.ArgumentParser):
    """The arguments of a command. For an unknown flag the error suggests its name here, or the nearest known one."""

    others: Mapping[str, str] = MappingProxyType({})

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong, with a suggestion where there is one, and exits."""
        _, unknown, rest = message.partition("unrecognized arguments: ")
        flags = [word.partition("=")[0] for word in rest.split() if word.startswith("--")]
        near = [flag for asked in flags for flag in self._near(asked)] if unknown else []
        super().error(f"{message}; did you mean {' or '.join(near)}?" if near else message)

    def _near(self, asked: str) -> Sequence[str]:
        from toolkit.facts.names import nearest

        if asked in self.others:
            return [self.others[asked]]
        known = [flag[2:] for action in self._actions for flag in action.option_strings if flag.startswith("--")]
        return [f"--{name}" for name in nearest(asked[2:], known, 2)]


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<10} {summary}" for name, summary in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="toolkit",
        usage="toolkit [--version] [--help] COMMAND ...",
        description=f"{toolkit.__doc__}\n\ncommands:\n{listed}",
        epilog="`toolkit COMMAND --help` says more. Exit codes: 0 nothing gates, 1 findings, 2 trouble.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"toolkit {toolkit.__version__}")
    return parser


def _unknown(name: str) -> str:
    from toolkit.facts.names import nearest

    meant = nearest(name, COMMANDS, 1)
    hint = f"; did you mean {meant[0]}?" if meant else f"; known: {', '.join(COMMANDS)}"
    return f"no command is called {printable(name[:60])!r}{hint}"


def _tell_bug(error: Exception) -> None:
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = f" at {where.tb_frame.f_globals.get('__name__')}:{where.tb_lineno}" if where else ""
    said = printable(f"{type(error).__name__}{place}: {error}")[:500]
    print(f"toolkit: this is a bug of the toolkit, not of your files: {said}", file=sys.stderr)
    print(f"toolkit: please report it with what `{TRACEBACK}=1` shows", file=sys.stderr)
    if os.environ.get(TRACEBACK):
        from traceback import print_exception

        print_exception(error, file=sys.stderr)
