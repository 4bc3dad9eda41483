"""A wheel has all that pages need: it renders them from a folder where nothing else of the repository is."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.pages.build import GOLDEN, REPOSITORY, pages_of

pytest.importorskip("hatchling", reason="a wheel is built by hatchling: pip install hatchling")

BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.mark.slow
def test_pages_are_rendered_from_an_installed_wheel(tmp_path: Path) -> None:
    wheels, installed = tmp_path / "wheels", tmp_path / "installed"
    wheels.mkdir()
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(wheels)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    with zipfile.ZipFile(wheels / built.stdout.split()[-1]) as wheel:
        wheel.extractall(installed)  # what installing a pure wheel is
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); import toolkit.pages.templates as found;"
        f"assert str(found.folder()).startswith({str(installed)!r}), found.folder();"
        "from toolkit.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    folder = str(GOLDEN / "small")
    command = [sys.executable, "-I", "-c", code, "pages", folder, "--root", folder, "--out", str(tmp_path / "out")]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    for name, content in pages_of(GOLDEN / "small").items():
        assert (tmp_path / "out" / name).read_bytes() == content, name
