"""Rewriting one scalar of a YAML text: everything else stays as it is, byte for byte."""

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from toolkit.finding import Place
from toolkit.spec.yaml.rewrite import YamlText

SPEC = """# a comment
document: guide.md   # another
claims:
  - {quantity: "a", 'quote': "x {1}", under: Plain text}  # kept

  - quantity: b
    quote: 'it''s'
    under: >-
      some
      heading

    note: |
      two
      lines
"""
PATHS = [path for path, _ in YamlText(SPEC).scalars.values()]

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029\ufeff"), max_size=40)


@given(st.sampled_from(PATHS), TEXTS)
@example(("claims", 0, "under"), "a: b #c")
@example(("claims", 0, "under"), "[x, y]")
@example(("claims", 1, "quote"), 'it\'s "so"\\ {}')
def test_only_the_scalar_changes(path: tuple[str | int, ...], text: str) -> None:
    before = YamlText(SPEC)
    anew = before.with_texts({path: text})
    if anew is None:
        return
    scalar = next(scalar for known, scalar in before.scalars.values() if known == path)
    start, end = before.span(scalar)
    assert anew.startswith(SPEC[:start])
    assert anew.endswith(SPEC[end:])
    # PyYAML, which this code does not share, reads the same tree, but for this scalar.
    expected, found = yaml.safe_load(SPEC), yaml.safe_load(anew)
    holders = [expected, found]
    for step in path[:-1]:
        holders = [holder[step] for holder in holders]
    written = holders[1].pop(path[-1])
    holders[0].pop(path[-1])
    assert expected == found
    assert isinstance(written, str)
    assert written.split() == text.split()


@pytest.mark.parametrize(
    ("place", "text", "line"),
    [
        (
            Place("", 4, 30),
            'say "so" {} \\',
            r"""  - {quantity: "a", 'quote': "say \"so\" {} \\", under: Plain text}  # kept""",
        ),
        (Place("", 4, 46), "Needs: more", """  - {quantity: "a", 'quote': "x {1}", under: 'Needs: more'}  # kept"""),
        (Place("", 4, 46), "Needs more", """  - {quantity: "a", 'quote': "x {1}", under: Needs more}  # kept"""),
        (Place("", 7, 12), "it's {} now", "    quote: 'it''s {} now'"),
    ],
)
def test_the_style_of_the_scalar_is_kept(place: Place, text: str, line: str) -> None:
    yaml_text = YamlText(SPEC)
    found = yaml_text.at(place)
    assert found is not None
    anew = yaml_text.with_texts({found[0]: text})
    assert anew is not None
    assert anew.splitlines()[place.line - 1] == line
    assert [one for number, one in enumerate(anew.splitlines()) if number != place.line - 1] == [
        one for number, one in enumerate(SPEC.splitlines()) if number != place.line - 1
    ]


def test_a_folded_block_stays_one() -> None:
    anew = YamlText(SPEC).with_texts({("claims", 1, "under"): "another heading: here"})
    assert anew is not None
    assert "    under: >-\n      another heading: here\n\n    note: |\n      two\n" in anew


def test_line_ends_stay() -> None:
    crlf = SPEC.replace("\n", "\r\n")
    anew = YamlText(crlf).with_texts({("claims", 1, "quote"): "new {}"})
    assert anew == crlf.replace("'it''s'", "'new {}'")
