"""The page on measuring: every command that it shows is one that the toolkit and pytest take."""

from __future__ import annotations

import argparse
import re
import shlex

import pytest
import yaml

from tests.cli.command import REPOSITORY
from toolkit.cli import measure

PAGE = (REPOSITORY / "site" / "measuring.md").read_text("utf-8")
BLOCKS = re.findall(r"```(sh|yaml)\n(.*?)```", PAGE, re.DOTALL)
LINES = [line.strip() for _, block in BLOCKS for line in block.splitlines()]
COMMANDS = [line.partition("toolkit measure ")[2] for line in LINES if "toolkit measure " in line]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_one(command: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    measure.add_arguments(parser)
    said = re.sub(r"\$\w+", "2", command.replace('"', ""))
    arguments = parser.parse_args(shlex.split(said))
    assert bool(arguments.paths) != bool(arguments.jobs)


def test_options_of_pytest_on_the_page_are_those_of_the_plugin() -> None:
    plugin = (REPOSITORY / "toolkit" / "plugins" / "pytest.py").read_text("utf-8")
    named = set(re.findall(r"--vram-[a-z]+", PAGE))
    assert named == {"--vram-write", "--vram-shard"}
    assert all(f'"{name}"' in plugin for name in named)


def test_the_task_of_skypilot_is_yaml() -> None:
    (task,) = (yaml.safe_load(block) for kind, block in BLOCKS if kind == "yaml")
    assert set(task) == {"name", "resources", "workdir", "envs", "setup", "run"}
    assert all(isinstance(value, str) for value in task["envs"].values())


def test_the_page_shows_more_than_one_command() -> None:
    assert len(COMMANDS) >= 7
