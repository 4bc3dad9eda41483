"""A stranger's document and spec are text on every page, in the Markdown that is written and in the built site."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages.build import GOLDEN, REPOSITORY, Page, page, pages_of

pytest.importorskip("mkdocs", reason="building the site needs mkdocs: pip install 'vram-toolkit[pages]'")
pytest.importorskip("material", reason="building the site needs mkdocs-material")

HOSTILE = GOLDEN / "hostile"
LIVE = ("script", "img", "iframe", "svg", "b", "object", "embed", "style")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hostile document's site, built as ours is."""
    root = tmp_path_factory.mktemp("hostile")
    shutil.copy(REPOSITORY / "mkdocs.yml", root)
    for name, content in pages_of(HOSTILE, REPOSITORY / "site").items():
        path = root / "build" / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=120)
    return root / "build" / "site"


def pages(built: Path) -> list[tuple[Path, Page]]:
    found = sorted(path for path in built.rglob("*.html") if path.name != "404.html")
    assert len(found) >= 5
    return [(path, page(path.read_text("utf-8"))) for path in found]


def test_no_handler_or_address_of_a_stranger_is_live(built: Path) -> None:
    for path, shown in pages(built):
        for element in shown.elements:
            handlers = [name for name in element.attributes if name.startswith("on")]
            assert not handlers, (path, element)
            for name in ("href", "src", "srcset", "action", "formaction", "xlink:href"):
                address = element.attributes.get(name, "").strip().lower()
                assert not re.match(r"(javascript|data|vbscript):", address), (path, element)
                assert "evil" not in address, (path, element)


def test_no_script_of_a_stranger_is_live(built: Path) -> None:
    for path, shown in pages(built):
        assert not [one for one in shown.elements if one.tag == "script" and "alert" in one.text], path
        titles = [one.text for one in shown.elements if one.tag == "title"]
        assert len(titles) == 1, path


def test_body_of_the_document_holds_no_tag_of_its_own(built: Path) -> None:
    written = page((built / "documents" / "hostile" / "index.html").read_text("utf-8"))
    articles = [one for one in written.elements if one.tag == "article"]
    assert len(articles) == 1
    source = pages_of(HOSTILE)["documents/hostile.md"].decode()
    assert not [one.tag for one in page(source).elements if one.tag in LIVE and one.tag != "b"]
    assert next(one.text for one in page(source).elements if one.tag == "b").isdigit(), "the counts alone are bold"


def test_what_looks_live_is_shown_as_text(built: Path) -> None:
    shown = page((built / "documents" / "hostile" / "index.html").read_text("utf-8")).text
    for text in (
        "Live: <script>alert(1)</script>",
        "{{ 7*191 }}",
        "{% raw %}",
        '<b onmouseover="alert(1)">',
        "[link](javascript:alert(1))",
        "<svg onload=alert(1)>",
        "<iframe src=//evil>",
        "</div>",
        "</dd><script>alert(1)</script> | [x](javascript:alert(1))",
        "Title <img src=x onerror=alert(1)> {{ 7*191 }}",
        "[heading](javascript:alert(3))",
        '!!! danger "admonition"',
    ):
        assert text in shown, text
    assert "1337" not in shown


def test_character_that_reorders_text_is_shown_by_its_number() -> None:
    for path, content in pages_of(HOSTILE).items():
        assert "\u202e" not in content.decode(), path


def test_marks_are_at_their_words_all_the_same() -> None:
    shown = page(pages_of(HOSTILE)["documents/hostile.md"].decode())
    words = [one.text for one in shown.all("vt-mark")]
    sums = ["1 + 1 = 3", "11 + 11 = 33", "22 + 22 = 55", "1 + 2 = 4", "4 + 4 = 9"]
    later = ["5 + 5 = 11", "7 + 7 = 15", "8 + 8 = 17", "9 + 9 = 19"]  # 6 + 6 is in a comment, which is not shown
    assert [word for word in words if "=" in word] == [*sums, *later]
