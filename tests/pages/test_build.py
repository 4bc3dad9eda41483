"""The site builds strictly, and no build can reach a hand-written page."""

import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.pages.build import REPOSITORY

pytest.importorskip("mkdocs", reason="building the site needs mkdocs: pip install 'vram-toolkit[pages]'")
pytest.importorskip("material", reason="building the site needs mkdocs-material")

import yaml

from toolkit.checks.run import check_paths
from toolkit.pages.site import site
from toolkit.pages.write import write_tree

SITE = REPOSITORY / "site"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository's documents and site."""
    root = tmp_path_factory.mktemp("repository")
    for name in ("site", "specs/documents"):
        shutil.copytree(REPOSITORY / name, root / name)
    shutil.copy(REPOSITORY / "mkdocs.yml", root)
    return root


def build(root: Path) -> subprocess.CompletedProcess[str]:
    result = check_paths([root / "specs" / "documents"], root, date(2026, 11, 21))
    write_tree(site(result, root, root / "site"), root / "build" / "docs", [root / "site", root / "specs"])
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_strict_build_has_no_warnings_and_leaves_hand_written_pages(repository: Path) -> None:
    before = contents(repository / "site"), contents(repository / "specs")
    for _ in range(2):
        ran = build(repository)
        assert ran.returncode == 0, ran.stderr
        assert "WARNING -" not in ran.stderr, ran.stderr
        assert before == (contents(repository / "site"), contents(repository / "specs"))
    built = repository / "build" / "site"
    slugs = {path.name for path in (repository / "specs" / "documents").iterdir() if (path / "claims.yaml").is_file()}
    assert len(slugs) >= 2
    assert {path.name for path in (built / "documents").iterdir()} >= slugs
    assert (built / "reading" / "index.html").is_file()


def test_no_folder_that_a_build_empties_touches_one_that_is_written_by_hand() -> None:
    said = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text("utf-8"))
    docs, output = (REPOSITORY / said[key] for key in ("docs_dir", "site_dir"))
    written = [REPOSITORY / name for name in ("site", "specs", "toolkit", "templates", "tests")]
    folders = [docs, output]
    for emptied in folders:
        assert emptied.is_relative_to(REPOSITORY / "build")
        for other in [*written, *(folder for folder in folders if folder != emptied)]:
            assert not emptied.is_relative_to(other)
            assert not other.is_relative_to(emptied)
    ignored = (REPOSITORY / ".gitignore").read_text("utf-8").split()
    assert "build/" in ignored


def test_nothing_is_loaded_from_elsewhere() -> None:
    said = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text("utf-8"))
    assert said["theme"]["font"] is False
    assert said["plugins"] == ["search"]
    assert "hooks" not in said
