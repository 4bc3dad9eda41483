"""What a tape that writes down its events writes."""

from __future__ import annotations

from toolkit.memory.formula.activations import activated
from toolkit.memory.formula.caches.cached import KEEPS, ROW, cached
from toolkit.memory.replay.log import LoggedTape


def _tape() -> LoggedTape:
    tape = LoggedTape(records=False, trains=False)
    tape.cache = KEEPS
    return tape


def test_what_a_cache_keeps_as_it_is_is_no_other_memory() -> None:
    tape = _tape()
    key = tape.new("attention_states", 64, "fp16")
    [made] = tape.cut()
    [kept] = cached(tape, key)
    assert tape.cut() == ()
    assert tape.number(kept) == made.key
    assert (kept.row, kept.size) == (ROW, key.size)
    assert {row: size for row, size in tape.alive.items() if any(size)} == {ROW: key.size}


def test_what_a_cache_keeps_outlives_the_code_that_made_it() -> None:
    tape = _tape()
    other, key = (tape.new("attention_states", 64, "fp16") for _ in range(2))
    [kept] = cached(tape, key)
    tape.cut()
    tape.drop(key, kept)
    tape.unwind()
    assert [change.key for change in tape.cut()] == [tape.number(other)]


def test_the_first_product_is_marked() -> None:
    tape = _tape()
    assert tape.product is None
    tape.new("norm_states", 64, "fp32")
    tape.multiplied()
    tape.new("norm_states", 64, "fp32")
    tape.multiplied()
    assert tape.product == 1


def test_tensors_that_a_squares_gradient_takes_are_blocks_of_their_own() -> None:
    """pow_backward (torch, FunctionsManual.cpp): a power, that times its exponent, and the product with the gradient.

    Then relu's gradient. Of 64 float32 values a token each is of 256 bytes.
    """
    tape = LoggedTape(records=True)
    x = tape.new("feed_forward_states", 64, "fp32", grad=True)
    result = activated(tape, x, "relu2", "feed_forward_states")
    tape.drop(x, result)
    tape.unwind()
    tape.cut()
    tape.backward(result)
    sizes = [change.size.token for change in tape.cut() if change.size is not None]
    assert sizes == [256] * 5, "the gradient that comes in, and four more"
