"""Claims that a document marks itself."""

import json
from pathlib import Path

import pytest

from tests.cli.command import run

SPEC = """document: guide.md
marks: true
scenarios:
  serve: {model: Qwen/Qwen2.5-Coder-7B, method: inference, weights: bf16, gpu: RTX 4090}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "claims.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path / "specs"


def checked(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, object]], list[str]]:
    """The claims of a document, and its findings with their places."""
    (folder / "guide.md").write_text(text, encoding="utf-8")
    said = json.loads(run(capsys, "check", "--format", "json").out)
    findings = [f"{one['line']}:{one['column']} {one['code']} {one['message']}" for one in said["findings"]]
    return said["claims"], findings


def test_a_marked_claim_is_judged_as_one_of_a_spec(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "It has <!-- toolkit: claim parameters scenario=serve -->**7.0B** parameters.\n"
    claims, findings = checked(folder, text, capsys)
    assert findings == []
    marked = claims[0]
    (folder / "claims.yaml").write_text(
        SPEC.replace("marks: true\n", "")
        + 'claims: [{quantity: parameters, scenario: serve, quote: "**{}** parameters"}]\n'
    )
    quoted = checked(folder, text.replace("<!-- toolkit: claim parameters scenario=serve -->", ""), capsys)[0][0]
    for key in ("scenario", "quantity", "code", "claimed", "evidence", "verdict", "reason", "repair"):
        assert marked[key] == quoted[key]
    assert (marked["line"], marked["column"]) == (1, 59)
    assert marked["spec"] == {"path": "specs/guide.md", "line": 1, "column": 8, "end_line": 1, "end_column": 57}
    assert marked["quote"] == "It has **7.0B** parameters."
    assert str(marked["id"]).startswith("specs/serve/parameters/")


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        ("<!-- toolkit: claim weights scenario=serve -->28 GB", "28 GB"),
        ("<!-- toolkit: claim weights scenario=serve --> ~**28 GB** of it", "~**28 GB**"),
        ("<!-- toolkit: claim weights scenario=serve -->14-16 GB", "14-16 GB"),
        ("| a |\n|---|\n| <!-- toolkit: claim fits scenario=serve -->✅ yes |", "✅"),
        ("| a |\n|---|\n| <!-- toolkit: claim weights scenario=serve -->14 GB |", "14 GB"),
        ("<!-- toolkit: claim arithmetic -->1 + 1 = 3<!-- toolkit: end --> all in all", "3"),
        ('x <!-- toolkit: claim quality unchecked="y" -->as good\nas any<!-- toolkit: end -->.', "as good\nas any"),
    ],
)
def test_the_value_is_what_stands_after_the_mark(
    folder: Path, text: str, claimed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    claims, findings = checked(folder, text + "\n", capsys)
    assert findings == []
    assert [claim["claimed"]["text"] for claim in claims] == [claimed]  # type: ignore[index] # read from JSON


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!-- toolkit: claim wieghts scenario=serve -->28 GB", "1:21 S107 wieghts is not a quantity"),
        (
            "<!-- toolkit: claim weights scenario=srve -->28 GB",
            '1:38 S108 no scenario is called "srve"; known: "serve"',
        ),
        ("<!-- toolkit: claim weights -->28 GB", "1:1 S105 a claim of weights needs scenario"),
        ("<!-- toolkit: claim -->28 GB", "1:1 D211 claim names one quantity"),
        (
            "<!-- toolkit: claim weights scenario=serve wiht=1 -->28 GB",
            '1:49 S103 "wiht" is no field of a marked claim',
        ),
        ("<!-- toolkit: claim weights scenario=serve metric=some -->28 GB", "1:51 S107 some is not a metric"),
        (
            "<!-- toolkit: claim weights scenario=serve --> about 7 tokens",
            "1:48 D204 claim specs/serve/weights/",
        ),
        (
            "<!-- toolkit: claim weights scenario=serve --> so 28 GB",
            '1:1 D204 no value stands right after the mark, but "so 28 GB"',
        ),
        ("<!-- toolkit: claim weights scenario=serve --><!-- toolkit: end -->", "1:1 D204 nothing stands between"),
        (
            "<!-- toolkit: end --> x <!-- toolkit: claim weights scenario=serve -->28 GB",
            "1:1 D211 nothing that it could end",
        ),
        (
            "<!-- toolkit: claim weights scenario=serve -->28\n\n<!-- toolkit: end -->",
            "3:1 D211 the claim that it ends begins in another block",
        ),
        (
            "<!-- toolkit: claim weights scenario=serve until=2027-01-01 -->28 GB",
            "1:50 S113 until says when an acknowledgement",
        ),
        (
            '<!-- toolkit: claim weights scenario=serve acknowledged="x" until=soon -->28 GB',
            "1:67 S104 soon is not a date",
        ),
        ("no mark", "2:1 S105 marks: true says that the document marks claims, and it marks none"),
    ],
)
def test_mistakes_have_their_place_and_code(
    folder: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, findings = checked(folder, text + "\n", capsys)
    assert any(finding.startswith(said) for finding in findings), findings


def test_ids_stay_when_a_value_is_corrected(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "It needs <!-- toolkit: claim weights scenario=serve -->{} for weights, {} in all.\n"
    mark = "<!-- toolkit: claim weights scenario=serve -->"
    before, _ = checked(folder, text.format("28 GB", mark + "28 GB"), capsys)
    after, _ = checked(folder, "\nMore.\n\n" + text.format("14 GB", mark + "28 GB"), capsys)
    assert len({claim["id"] for claim in before}) == 2
    assert before[1]["id"] != before[0]["id"]
    assert after[0]["id"] == before[0]["id"]


def test_two_equal_statements_are_two_claims(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "It needs <!-- toolkit: claim weights scenario=serve -->14 GB.\n\n"
    claims, findings = checked(folder, line * 2, capsys)
    assert findings == []
    assert len({claim["id"] for claim in claims}) == 2


def test_a_marked_claim_can_be_acknowledged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '<!-- toolkit: claim weights scenario=serve acknowledged="as found" until=2099-01-01 -->28 GB\n'
    claims, findings = checked(folder, text, capsys)
    assert findings == []
    assert claims[0]["acknowledged"] == {"reason": "as found", "until": "2099-01-01"}
    assert run(capsys, "check").code == 0


def test_marks_that_no_spec_reads_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "claims.yaml").write_text(
        SPEC.replace("marks: true\n", "") + 'claims: [{quantity: quality, quote: "is {good}", unchecked: "x"}]\n'
    )
    text = "It is good, <!-- toolkit: claim weights scenario=serve -->28 GB.\n"
    assert checked(folder, text, capsys)[1] == [
        "1:13 D213 the document marks claims, and no spec of it says marks: true"
    ]
    (folder / "more.claims.yaml").write_text(SPEC.replace("marks", "slug: more\nmarks"))
    assert checked(folder, text, capsys)[1] == []
