import json
import shutil
from datetime import date

import pytest

from toolkit.facts import refresh_software
from toolkit.facts.refresh_software import (
    FetchError,
    Refresh,
    fetch_json,
    refresh,
    releases_of,
    table_requirements,
    write_table,
)
from toolkit.facts.releases import DATA, PACKAGES

FILES = [{"upload_time_iso_8601": "2026-12-01T10:00:00Z", "yanked": False}]
TODAY = date(2026, 12, 24)


def index_of(package, releases, requires=None):
    """An index that has one package."""
    asked = []

    def fetch(url, limit):
        asked.append(url)
        if url.endswith(f"/{package}/json"):
            return {"info": {"name": package}, "releases": releases}
        if requires is None:
            raise FetchError("no network")
        return {"info": {"requires_dist": requires}}

    return fetch, asked


@pytest.fixture
def folder(tmp_path):
    for package in ("trl", "vllm"):
        shutil.copy(DATA / f"{package}.json", tmp_path)
    return tmp_path


def known_releases(package):
    table = json.loads((DATA / f"{package}.json").read_text(encoding="utf-8"))
    return {
        version: [
            {"upload_time_iso_8601": f"{entry['date']}T00:00:00Z"} | ({"yanked": True} if "yanked" in entry else {})
        ]
        for version, entry in table["releases"].items()
    }


def test_a_new_release_is_added_with_what_it_requires(folder):
    fetch, asked = index_of(
        "trl",
        known_releases("trl") | {"99.0.0": FILES},
        ["transformers>=9", "numpy", 'peft; extra == "peft"'],
    )
    done = refresh(folder, packages=["trl"], fetch=fetch, today=TODAY, requirements_limit=1)
    assert done == Refresh({"trl": ("99.0.0",)}, {"trl": ()}, ())
    assert [url.rsplit("/", 2)[1] for url in asked] == ["trl", "99.0.0"]
    table = json.loads((folder / "trl.json").read_text(encoding="utf-8"))
    assert table["recorded"] == "2026-12-24"
    entry = table["releases"]["99.0.0"]
    assert [table["requirements"][index] for index in entry["requires"]] == ["transformers>=9"]
    assert "requires" in table["releases"]["0.23.0"]


def test_the_newest_release_needs_no_second_question(folder):
    info = {"name": "trl", "version": "99.0.0", "requires_dist": ["transformers>=9", "numpy"]}
    releases = known_releases("trl") | {"99.0.0": FILES}
    done = refresh(
        folder,
        packages=["trl"],
        fetch=lambda url, limit: {"info": info, "releases": releases},
        today=TODAY,
        requirements_limit=0,
    )
    assert done.added == {"trl": ("99.0.0",)}
    table = json.loads((folder / "trl.json").read_text(encoding="utf-8"))
    entry = table["releases"]["99.0.0"]
    assert [table["requirements"][index] for index in entry["requires"]] == ["transformers>=9"]


def test_without_news_only_the_day_changes(folder):
    fetch, _ = index_of("trl", known_releases("trl"), [])
    refresh(folder, packages=["trl"], fetch=fetch, today=date.fromisoformat("2026-11-21"), requirements_limit=0)
    old = json.loads((DATA / "trl.json").read_text(encoding="utf-8"))
    new = json.loads((folder / "trl.json").read_text(encoding="utf-8"))
    assert new == old


def test_a_release_that_is_gone_is_told(folder):
    releases = known_releases("trl")
    del releases["0.19.0"]
    fetch, _ = index_of("trl", releases, [])
    assert refresh(folder, packages=["trl"], fetch=fetch, today=TODAY).dropped == {"trl": ("0.19.0",)}


def test_trouble_leaves_the_table_as_it_was(folder):
    before = (folder / "trl.json").read_bytes()

    def fetch(url, limit):
        raise FetchError(f"{url}: no network")

    done = refresh(folder, packages=["trl", "nothing"], fetch=fetch, today=TODAY)
    assert len(done.problems) == 2
    assert (folder / "trl.json").read_bytes() == before
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"info": {"name": "other"}, "releases": {"1.0": FILES}},
        {"info": {"name": "trl"}, "releases": []},
        {"info": {"name": "trl"}, "releases": {"1.0": []}},
        {"info": {"name": "trl"}, "releases": {"1.0": [{"upload_time_iso_8601": "soon"}]}},
        {"info": {"name": "trl"}, "releases": {"../../x": FILES, "1" * 100: FILES}},
    ],
)
def test_what_an_index_must_not_say(document):
    with pytest.raises(FetchError):
        releases_of(document, "trl")


def test_requirements_of_the_tables_only():
    listed = [
        "torch>=2",
        "numpy",
        "peft; extra == 'x'",
        "not a requirement at all",
        7,
        "triton; sys_platform == 'linux'",
    ]
    assert table_requirements(listed) == ["torch>=2", 'triton; sys_platform == "linux"']


@pytest.mark.parametrize("url", ["http://pypi.org/pypi/trl/json", "file:///etc/passwd", "ftp://x/y"])
def test_only_https_is_fetched(url):
    with pytest.raises(FetchError, match="not an https address"):
        fetch_json(url, 100)


class Response:
    """What urlopen gives."""

    def __init__(self, body, url="https://pypi.org/x"):
        self.body, self.url = body, url

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        return None

    def read(self, size):
        return self.body[:size]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (Response(b"{}", "http://elsewhere/x"), "not an https address"),
        (Response(b"x" * 200), "more than 100 bytes"),
        (Response(b"<html>"), "not JSON"),
        (Response(b"[1]"), "not a JSON object"),
    ],
)
def test_a_bad_answer_is_refused(monkeypatch, response, reason):
    monkeypatch.setattr(refresh_software.urllib.request, "urlopen", lambda *args, **named: response)
    with pytest.raises(FetchError, match=reason):
        fetch_json("https://pypi.org/x", 100)


def test_a_good_answer(monkeypatch):
    monkeypatch.setattr(refresh_software.urllib.request, "urlopen", lambda *args, **named: Response(b'{"a": 1}'))
    assert fetch_json("https://pypi.org/x", 100) == {"a": 1}


def test_no_network_is_a_fetch_error(monkeypatch):
    def refuse(*args, **named):
        raise OSError("unreachable")

    monkeypatch.setattr(refresh_software.urllib.request, "urlopen", refuse)
    with pytest.raises(FetchError, match="unreachable"):
        fetch_json("https://pypi.org/x", 100)


def test_a_failed_write_leaves_nothing_behind(folder, monkeypatch):
    before = (folder / "trl.json").read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(refresh_software.Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_table(folder / "trl.json", "trl", "2026-12-24", {})
    assert (folder / "trl.json").read_bytes() == before
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_committed_tables_are_as_the_refresher_writes_them(package, tmp_path):
    path = DATA / f"{package}.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    write_table(tmp_path / "again.json", package, table["recorded"], refresh_software._known(path))
    assert (tmp_path / "again.json").read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
