"""What may be named to pip: known packages with exact versions, and nothing that pip reads as anything else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.memory.trace.stack.named import MOST_CHARACTERS, PACKAGES, NamedStack, named_stack

PLAIN = re.compile(r"[a-z-]+==[0-9][0-9a-z.]*")


def test_releases_are_read_in_any_order_and_writing() -> None:
    one = named_stack("transformers==4.46.3,peft==0.13.2,huggingface_hub==0.26.2")
    other = named_stack("PEFT==0.13.2,huggingface-hub==0.26.2,Transformers==4.46.3")
    assert isinstance(one, NamedStack)
    assert one == other
    assert one.requirements == ("huggingface-hub==0.26.2", "peft==0.13.2", "transformers==4.46.3")
    assert not one.names_torch


def test_a_shorter_version_is_the_release_that_it_stands_for() -> None:
    stack = named_stack("transformers==4.46,torch==2.4")
    assert isinstance(stack, NamedStack)
    assert stack.requirements == ("torch==2.4.0", "transformers==4.46.0")
    assert stack.names_torch


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is not NAME==VERSION"),
        ("transformers", "is not NAME==VERSION"),
        ("transformers>=4.46", "is not NAME==VERSION"),
        ("transformers==4.46.3,", "'' is not NAME==VERSION"),
        ("transformers==4.46.*", "is not NAME==VERSION"),
        ("transformers==4.46.3, peft==0.13.2", "is not NAME==VERSION"),
        ("transformers==4.46.3,--index-url==1", "is not NAME==VERSION"),
        ("-r==1", "is not NAME==VERSION"),
        ("transformers[torch]==4.46.3", "is not NAME==VERSION"),
        ("transformers==4.46.3;python_version<'4'", "is not NAME==VERSION"),
        ("transformers @ https://example.org/a.whl", "is not NAME==VERSION"),
        ("./transformers==4.46.3", "is not NAME==VERSION"),
        ("transformers==4.46.3\n--pre", "is not NAME==VERSION"),
        ("transformers==4.46.3,transformers==4.46.3", "transformers is named twice"),
        ("transformer==4.46.3", "did you mean transformers?"),
        ("transformers==4.46.3,requests==2.0", "is not among what a stack names: accelerate, bitsandbytes"),
        ("transformers==4.46.30", "the package index had no transformers 4.46.30"),
        ("transformers==4x", "is no version"),
        ("peft==0.13.2", "a stack names transformers==VERSION"),
        ("transformers==4.46.3," * 100, f"at most {MOST_CHARACTERS} characters"),
    ],
)
def test_anything_else_is_refused(text: str, said: str) -> None:
    found = named_stack(text)
    assert isinstance(found, str)
    assert said in found


def test_a_release_newer_than_the_tables_is_left_to_pip() -> None:
    found = named_stack("transformers==99.0.1")
    assert isinstance(found, NamedStack)
    assert found.requirements == ("transformers==99.0.1",)


@given(
    st.lists(st.tuples(st.sampled_from([*PACKAGES, "-e"]), st.text("0123456789.-+@ abc/\n", max_size=8)), max_size=4)
)
def test_only_plain_pins_of_known_packages_come_through(parts: list[tuple[str, str]]) -> None:
    found = named_stack(",".join([*(f"{name}=={version}" for name, version in parts), "transformers==4.46.3"]))
    if isinstance(found, NamedStack):
        assert all(PLAIN.fullmatch(text) for text in found.requirements)
        assert {name for name, _ in found.pins} <= set(PACKAGES)
