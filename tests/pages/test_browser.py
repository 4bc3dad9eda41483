"""The built page in a real browser: marks stand at the right words, and open by keyboard and by mouse."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.pages.build import GOLDEN, REPOSITORY, pages_of

pytest.importorskip("material", reason="building the site needs mkdocs-material: pip install 'vram-toolkit[pages]'")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="a browser is driven by playwright: pip install playwright"
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]

TEXT_BEFORE = """mark => {
  const all = document.createRange();
  all.setStartBefore(document.querySelector('.md-content'));
  all.setEndBefore(mark);
  const held = all.cloneContents();
  held.querySelectorAll('.vt-flag').forEach(one => one.remove());
  return held.textContent.split(/\\s+/).join(' ');
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the small document's site, built as ours is."""
    root = tmp_path_factory.mktemp("site")
    shutil.copy(REPOSITORY / "mkdocs.yml", root)
    for name, content in pages_of(GOLDEN / "small", REPOSITORY / "site").items():
        (root / "build" / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "build" / "docs" / name).write_bytes(content)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=120)
    handler = functools.partial(Quiet, directory=str(root / "build" / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def document(site: str, browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    page.goto(f"{site}documents/small/")
    yield page
    page.close()


@pytest.mark.parametrize(
    ("number", "words", "before"),
    [
        (2, "2.2 GB", "come to 1.1 billion × 2 bytes = "),
        (3, "3 + 4 = 8", "here, and all of "),
        (4, "2 + 2 = 5", "Heading with "),
        (5, "2.2 GB", "weights "),
        (6, "1 + 1 = 3 GB", "cache "),
        (7, "5 + 5 = 10", ""),
        (8, "6 + 6 = 13", "# a sum in code "),
        (9, "7 + 7 = 14", "link of "),
        (10, "1,100,048,384", "Quoted: about "),
        (11, "quick.", "said to be "),
    ],
)
def test_marks_are_at_the_right_words(document: Any, number: int, words: str, before: str) -> None:
    mark = document.locator(f'.vt-mark[data-mark="{number}"]').first
    assert mark.inner_text() == words
    assert mark.evaluate(TEXT_BEFORE).endswith(before)


def test_table_of_contents_has_the_documents_headings(document: Any) -> None:
    listed = document.locator(".md-nav--secondary .md-nav__link").all_inner_texts()
    headings = ["What a small model needs", "Heading with 2 + 2 = 5", "All claims"]
    assert list(dict.fromkeys(text.strip() for text in listed)) == headings  # once more for small screens


def test_mark_opens_and_closes_by_keyboard(document: Any) -> None:
    said = document.locator("#claim-3")
    assert not said.is_visible()
    flag = document.locator("#mark-3")
    document.locator("#mark-2").focus()
    for _ in range(5):  # to the next buttons by the tab key, as a reader gets there
        document.keyboard.press("Tab")
        if flag.evaluate("one => one === document.activeElement"):
            break
    document.keyboard.press("Enter")
    assert said.is_visible()
    text = said.inner_text()
    for part in ("disagrees, known", "3 + 4 = 8", "the printed numbers give 7", "a made-up error"):
        assert part in text
    document.keyboard.press("Escape")
    assert not said.is_visible()
    assert flag.evaluate("one => one === document.activeElement")


def test_mark_opens_by_mouse_even_in_a_table_and_a_link(document: Any) -> None:
    for number, verdict in ((5, "unchecked"), (9, "agrees")):
        address = document.url
        document.locator(f"#mark-{number}").click()
        assert verdict in document.locator(f"#claim-{number}").inner_text()
        assert document.url == address
        document.locator(f"#claim-{number} .vt-close").click()
        assert not document.locator(f"#claim-{number}").is_visible()


def test_verdicts_differ_by_colour_and_red_stays_red_when_known(document: Any) -> None:
    def colour(number: int) -> str:
        return str(document.locator(f"#mark-{number}").evaluate("one => getComputedStyle(one).color"))

    disagrees, known, agrees, unchecked = colour(4), colour(3), colour(2), colour(11)
    assert known == disagrees
    assert len({disagrees, agrees, unchecked}) == 3


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(document: Any, site: str, width: int) -> None:
    document.set_viewport_size({"width": width, "height": 800})
    for path in ("", "reading/", "documents/small/", "guides/small/", "models/"):
        document.goto(f"{site}{path}")
        assert document.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
