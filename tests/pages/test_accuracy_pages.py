"""The public tables of errors as pages of the site."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

pytest.importorskip("jinja2")

from tests.pages.build import GOLDEN, REPOSITORY
from toolkit.checks.run import check_paths
from toolkit.cli.main import main
from toolkit.pages.accuracy_pages import accuracy_pages
from toolkit.pages.site import ACCURACY, site

SMALL = GOLDEN / "small"
PUBLISHED = REPOSITORY / "specs" / "published"


def build(readings: Path, out: Path) -> int:
    return main(["pages", str(SMALL), "--root", str(SMALL), "--out", str(out), "--accuracy", str(readings)])


def test_both_tables_stand_on_the_site(tmp_path: Path) -> None:
    readings = tmp_path / "published"
    shutil.copytree(PUBLISHED / "optimum_gptq_benchmark", readings / "optimum_gptq_benchmark")
    assert build(readings, tmp_path / "out") == 0
    estimates = (tmp_path / "out" / "accuracy" / "index.md").read_text()
    assert "# How far estimates are from what others measured" in estimates
    assert "69 readings of" in estimates
    assert "optimum\\_gptq\\_benchmark" in estimates
    assert "# How far traces are" in (tmp_path / "out" / "accuracy" / "traces.md").read_text()


def test_a_folder_without_readings_is_said_and_builds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(tmp_path, tmp_path / "out") == 2
    assert capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_index_leads_there_where_the_tables_are(tmp_path: Path) -> None:
    intro = tmp_path / "site"
    intro.mkdir()
    (intro / "index.md").write_text(f"# Here\n\n{ACCURACY}\n")
    result = check_paths([SMALL], SMALL, date(2026, 11, 21))
    without = site(result, SMALL, intro)["index.md"].decode()
    assert "accuracy" not in without
    leading = site(result, SMALL, intro, accuracy_pages("", ""))["index.md"].decode()
    assert "](accuracy/index.md)" in leading


def test_tables_stand_as_they_are() -> None:
    [(_, estimates), (_, traces)] = accuracy_pages("| a |\n|---|\n| 1 |", "| b |\n|---|\n| 2 |")
    assert "| a |\n|---|\n| 1 |" in estimates
    assert "| b |\n|---|\n| 2 |" in traces
