"""`toolkit fix` changes what it says and nothing else, whatever stands in files and whoever writes them beside it."""

import string
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.command import run
from tests.cli.conftest import GUIDE, MOVED
from toolkit.checks.fix import run as fixing
from toolkit.checks.fix.plan import Plan
from toolkit.cli.main import main


def test_encoding_line_ends_and_rights_stay(fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, guide = fixable / "claims.yaml", fixable / "guide.md"
    spec.write_bytes(b"\xef\xbb\xbf" + MOVED.replace("a comment", "ein ß").replace("\n", "\r\n").encode())
    guide.write_bytes(b"\xef\xbb\xbf" + GUIDE.replace("= 2.", "= 3. ß").replace("\n", "\r\n").encode())
    spec.chmod(0o640)
    assert run(capsys, "fix", "--unsafe-fixes").code == 0
    assert (
        spec.read_bytes()
        == b"\xef\xbb\xbf" + MOVED.replace("a comment", "ein ß").replace("Here", "There").replace("\n", "\r\n").encode()
    )
    assert guide.read_bytes() == b"\xef\xbb\xbf" + GUIDE.replace("= 2.", "= 2. ß").replace("\n", "\r\n").encode()
    assert spec.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in fixable.iterdir()) == ["claims.yaml", "guide.md"]


def test_a_link_stays_a_link(fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = fixable / "claims.yaml"
    spec.rename(fixable / "real.yaml")
    spec.symlink_to("real.yaml")
    assert run(capsys, "fix").code == 0
    assert spec.is_symlink()
    assert "There" in (fixable / "real.yaml").read_text("utf-8")


def test_a_link_that_leads_out_is_left_alone(
    fixable: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "claims.yaml"
    outside.write_text(MOVED, encoding="utf-8")
    spec = fixable / "claims.yaml"
    spec.unlink()
    spec.symlink_to(outside)
    ran = run(capsys, "fix")
    assert ran.code == 2
    assert outside.read_text("utf-8") == MOVED


def test_a_document_outside_is_left_alone(
    fixable: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "guide.md"
    outside.write_text(GUIDE.replace("= 2.", "= 3."), encoding="utf-8")
    (fixable / "guide.md").unlink()
    (fixable / "guide.md").symlink_to(outside)
    ran = run(capsys, "fix", "--unsafe-fixes")
    assert ran.code == 1
    assert "S109" in ran.out
    assert "= 3." in outside.read_text("utf-8")


def test_a_file_that_changed_meanwhile_is_left_alone(
    fixable: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two files are to be changed; the second is changed by somebody else, so the first is put back."""
    (fixable / "guide.md").write_text(GUIDE.replace("= 2.", "= 3."), encoding="utf-8")
    planned = fixing.plan_fixes

    def meanwhile(*arguments: object) -> Plan:
        plan = planned(*arguments)  # type: ignore[arg-type] # the arguments are those of the call
        assert [change.source.path.name for change in plan.changes] == ["guide.md", "claims.yaml"]
        (fixable / "claims.yaml").write_text(MOVED + "# mine\n", encoding="utf-8")
        return plan

    monkeypatch.setattr(fixing, "plan_fixes", meanwhile)
    ran = run(capsys, "fix", "--unsafe-fixes")
    assert ran.code == 2
    assert "D209" in ran.out
    assert "has changed since it was read" in ran.out
    assert (fixable / "claims.yaml").read_text("utf-8") == MOVED + "# mine\n"
    assert "= 3." in (fixable / "guide.md").read_text("utf-8")


def test_what_is_no_better_is_taken_back(
    fixable: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = []
    check = fixing.check_paths

    def never_better(*arguments: object) -> object:
        checks.append((fixable / "claims.yaml").read_text("utf-8"))
        result = check(*arguments)  # type: ignore[arg-type] # the arguments are those of the call
        return result if len(checks) != 2 else first[0]

    first = [check([fixable], Path(), date(2026, 11, 21))]
    monkeypatch.setattr(fixing, "check_paths", never_better)
    ran = run(capsys, "fix")
    assert ran.code == 2
    assert "There" in checks[1]  # it had been written
    assert (fixable / "claims.yaml").read_text("utf-8") == MOVED
    assert "the check was no better" in ran.out


@pytest.mark.parametrize("step", ["tempfile.mkstemp", "os.fsync"])
def test_a_write_that_fails_leaves_the_file_whole(
    step: str, fixable: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(f"toolkit.checks.fix.source.{step}", refuse)
    ran = run(capsys, "fix")
    assert ran.code == 2
    assert "D209 specs/claims.yaml cannot be written: Permission denied" in ran.out
    assert (fixable / "claims.yaml").read_text("utf-8") == MOVED
    assert sorted(path.name for path in fixable.iterdir()) == ["claims.yaml", "guide.md"]


def test_a_diff_steers_nothing(fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "::error file=x::pwned ##[group]x \x1b[31m\u202e\x07"
    lines = [hostile, hostile, "The sum is 1 + 1 = 3.", hostile, f"  {hostile}"]
    (fixable / "guide.md").write_text("# Guide\n\n## Here\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    shown = run(capsys, "fix", "--unsafe-fixes", "--diff").out
    assert "+The sum is 1 + 1 = 2." in shown
    assert not set(shown) & {"\x1b", "\u202e", "\x07"}
    assert "##[" not in shown
    assert not any(line.lstrip(" +-").startswith("::") for line in shown.splitlines())


def test_a_fix_steers_nothing(fixable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fixable / "guide.md").write_text(
        "# Guide\n\n## ::error::x ##[y] \u202e\n\nThe sum is 1 + 1 = 2.\n", encoding="utf-8"
    )
    shown = run(capsys, "fix").out
    assert "fixed" in shown
    assert "\u202e" not in shown
    assert "##[" not in shown


SOUND = st.text(string.ascii_letters + "äß显 -,'\"#:{}[]", min_size=1, max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(SOUND, min_size=1, max_size=4), data=st.data())
def test_nothing_but_the_scalar_changes(
    words: list[str], data: st.DataObject, fixable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever stands around a lost quote in its spec stays, byte for byte, and a second run does nothing."""
    style = data.draw(st.sampled_from(["'{}'", '"{}"', "{}"]))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    comments = ["# " + " ".join(word.split()) for word in words]
    quote = "first - sum is 1 + 1 = 2"
    lines = [
        comments[0],
        "document: guide.md",
        "claims:",
        *(f"  {comment}" for comment in comments),
        f"  - {{quantity: quality, unchecked: x, quote: {style.format(quote)} }}  {comments[-1]}",
        f"  - quantity: arithmetic  {comments[0]}",
        '    quote: "second sum is {2 + 2 = 4}"',
        comments[-1],
    ]
    before = end.join(lines).encode()
    (fixable / "claims.yaml").write_bytes(before)
    text = f"# Guide\n\nThe first \u2013 sum is **1 + 1 = 2** of {words[0]}\n\nThe second sum is 2 + 2 = 4.\n"
    (fixable / "guide.md").write_text(text, encoding="utf-8")
    assert main(["fix", "specs"]) == 0
    capsys.readouterr()
    after = (fixable / "claims.yaml").read_bytes()
    assert after.count("\u2013".encode()) == before.count("\u2013".encode()) + 1
    changed = after.replace("first \u2013 sum is **1 + 1 = 2**".encode(), quote.encode())
    if style != "{}":
        assert changed == before
    else:  # a plain scalar may need quotation marks for its new text
        assert changed.replace(f"'{quote}'".encode(), quote.encode()) == before
    assert yaml.safe_load(after)["claims"][0]["quote"].startswith("first \u2013 sum")
    main(["fix", "specs"])
    capsys.readouterr()
    assert (fixable / "claims.yaml").read_bytes() == after


AROUND = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="=≈~"), max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=AROUND, after=AROUND, end=st.sampled_from(["\n", "\r\n", "\r"]), mark=st.booleans())
def test_nothing_but_the_digits_changes(
    before: str, after: str, end: str, mark: bool, fixable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever stands around a false number in a document stays, byte for byte, and a second run does nothing."""
    guide = f"{before}{end}{end}The sum here is 10 + 10 = ~30.0 as said.{end}{after}"
    data = (b"\xef\xbb\xbf" if mark else b"") + guide.encode()
    (fixable / "guide.md").write_bytes(data)
    spec = 'document: guide.md\nclaims:\n  - {quantity: arithmetic, quote: "sum here is {} as said."}\n'
    (fixable / "claims.yaml").write_text(spec, encoding="utf-8")
    main(["fix", "specs", "--unsafe-fixes"])
    capsys.readouterr()
    anew = (fixable / "guide.md").read_bytes()
    assert anew in (data, data.replace(b"10 + 10 = ~30.0", b"10 + 10 = ~20.0"))
    if before.isalnum() and after.isalnum():
        assert anew != data
    assert (fixable / "claims.yaml").read_text("utf-8") == spec
    main(["fix", "specs", "--unsafe-fixes"])
    capsys.readouterr()
    assert (fixable / "guide.md").read_bytes() == anew
