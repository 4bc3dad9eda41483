"""What a start of the command costs: heavy libraries stay out, and help comes at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import REPOSITORY
from tests.cli.conftest import Repository

TOLD = "print(*sys.modules, file=sys.stderr)"
HEAVY = ("torch", "transformers", "peft", "bitsandbytes", "numpy", "jinja2", "mkdocs")


def _loaded(code: str, cwd: Path) -> set[str]:
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n{code}\n{TOLD}",
        ],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(ran.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [("check",), ("estimate", "--model", "Qwen/Qwen2.5-Coder-7B", "--method", "full"), ("explain", "--all")],
)
def test_no_command_loads_heavy_libraries(repository: Repository, arguments: tuple[str, ...]) -> None:
    loaded = _loaded(f"from toolkit.cli.main import main; assert main({arguments!r}) == 0", repository.path)
    assert not loaded & set(HEAVY)


def test_help_loads_only_what_it_needs(tmp_path: Path) -> None:
    loaded = _loaded("from toolkit.cli.main import main; assert main(['--help']) == 0", tmp_path)
    assert not loaded & {"pydantic", "yaml", "markdown_it", "packaging", "json", *HEAVY}
    assert {name for name in loaded if name.startswith("toolkit.")} <= {
        "toolkit.cli",
        "toolkit.cli.main",
        "toolkit.finding",
        "toolkit.frozen",
    }
