"""Storage elements of packed weights counted as parameters: two 4-bit values lie in one byte, one element."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial

from toolkit.checks.why.hypothesis import Reproduction, Why
from toolkit.memory.weights.parameters import added_parameters
from toolkit.memory.weights.storage import stored_elements as count_stored
from toolkit.spec.settings.setting import Setting

_PACKED = ("nf4", "fp4")


def _counts(why: Why) -> Iterator[tuple[int, str]]:
    """Elements that `numel` counts after packing, without and with adapters, and how they come about."""
    setting = why.estimate.setting
    for packed in _packed_settings(setting):
        architecture = why.situation.architecture()
        stored = count_stored(architecture, packed)
        yield stored, f"{stored:,} storage elements after {packed.weights.upper()} packing"
        added = added_parameters(architecture, setting)
        if added:
            elements = f"{stored:,} storage elements after {packed.weights.upper()} packing"
            yield stored + added, f"{stored + added:,} = {elements} + {added:,} adapter weights"


def _packed_settings(setting: Setting) -> Iterator[Setting]:
    """The setting itself where it packs; else as it would be packed: documents count what was loaded."""
    if setting.weights in _PACKED:
        yield setting
    else:
        yield replace(setting, weights="nf4")


def stored_elements(why: Why) -> Iterator[Reproduction]:
    """A count of parameters that is one of stored elements."""
    for count, origin in _counts(why):
        yield Reproduction(Fraction(count), partial("it counts {}, not parameters".format, origin))


def share_of_stored_elements(why: Why) -> Iterator[Reproduction]:
    """A share of parameters that is one of stored elements."""
    trained = why.estimate.parameters_trainable
    # Documents divide by the total that they print, which counts the adapters with the model.
    for count, origin in reversed(list(_counts(why))):
        said = "{:,} / {:,} reproduces it, but that counts {}, not parameters".format
        yield Reproduction(Fraction(trained, count), partial(said, trained, count, origin))
