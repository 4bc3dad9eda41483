"""Cut cross-entropy against its own code: apple/ml-cross-entropy at d42911f, its kernels replaced by empty ones.

The rest of it ran on a CPU with 2 sequences of 128 tokens, 64 wide, and 1,000 entries, while each storage was counted
that it made: `KEPT` is what was left after forward, `MOST` the most in backward. 254 tokens have a next one, the
formula counts all 256; there were 8 bytes of locks of the hidden states, and 4 each of the loss and its gradient.
"""

from __future__ import annotations

import pytest

from toolkit.facts.models import ModelFacts, load_model
from toolkit.memory.estimate import estimate
from toolkit.memory.formula.ends.cut_loss import cut_loss
from toolkit.memory.formula.ends.logits import HeadForm
from toolkit.memory.formula.linear.linear_form import Branch, LinearForm
from toolkit.memory.formula.norms import NormForm
from toolkit.memory.ledger import PhaseName
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.size import Alive
from toolkit.memory.tape.buffer import Buffer
from toolkit.memory.tape.tape import Tape
from toolkit.spec.settings.setting import Lora, Setting, Stack

TOKENS, WIDTH, ENTRIES = 256, 64, 1000
LAST = 2 * (8 + 4)
"""The place and the sum of two tokens that have no next."""
LOSS, LOCKS = 4, 8
NORM = NormForm("rms", "bf16", trains=False)
KEPT = {"16 bit": 7_052, "autocast": 167_820}
MOST = {
    ("16 bit", False): 43_832,
    ("16 bit", True): 171_864,
    ("autocast", False): 270_136,
    ("autocast", True): 588_632,
}


def total(moment: Alive) -> int:
    return sum(size.token * TOKENS + size.fixed for size in moment.values())


@pytest.fixture(autouse=True)
def _no_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hidden states come as they are, in a tensor that the loss may drop."""

    def same(tape: Tape, x: Buffer, _: NormForm) -> Buffer:
        return tape.new("states", x.width, x.dtype, grad=True)

    monkeypatch.setattr("toolkit.memory.formula.ends.cut_loss.normalise", same)


def form_of(how: str, *, trains: bool) -> HeadForm:
    dtype = "bf16" if how == "16 bit" else "fp32"
    autocast = None if how == "16 bit" else "bf16"
    weight = LinearForm(WIDTH, ENTRIES, dtype, trains=trains, autocast=autocast, gradient=dtype)
    return HeadForm(NORM, weight, loss="cut")


@pytest.mark.parametrize(("how", "trains"), list(MOST))
def test_it_makes_what_its_own_code_makes(how: str, trains: bool) -> None:
    form = form_of(how, trains=trains)
    dtype = form.projection.dtype
    tape = Tape(records=True)
    result = cut_loss(tape, tape.new("x", WIDTH, dtype, grad=True), form)
    tape.unwind()
    states = TOKENS * WIDTH * (2 if how == "16 bit" else 4)  # what the library was given, and did not make
    given = states if how == "16 bit" else 0  # it keeps a copy, then, and not what it was given
    assert total(tape.alive) - given == KEPT[how] - LOSS + LAST
    tape.begin()
    tape.backward(result)
    most = max(total(moment) for moment in tape.moments)
    assert most - given == MOST[how, trains] - 2 * LOSS - LOCKS + LAST


def test_the_whole_model_has_no_row_of_the_size_of_its_logits() -> None:
    """The largest row of the last pass is what a layer keeps: 151,936 logits a token would be 304 KB of 16 bit."""
    facts = load_model("Qwen/Qwen2.5-0.5B")
    assert isinstance(facts, ModelFacts)
    lora = Lora(8, targets=("q_proj",))
    setting = Setting(
        facts.id, "lora", "bf16", lora=lora, batch_size=4, sequence_length=2048, stack=Stack("transformers", "cut")
    )
    backward = estimate(setting, facts).ledger.phase(PhaseName.BACKWARD)
    assert backward is not None
    made = {row.name: row.bytes for row in backward.rows}
    assert not {"logits", "logits_float32", "logits_gradient"} & {name for name, size in made.items() if size}


@pytest.mark.parametrize(
    "changes",
    [{"branch": Branch(8, "fp32", "fp32", dropout=False)}, {"storage": "4bit"}],
    ids=("adapter", "quantized"),
)
def test_it_reads_a_plain_weight_alone(changes: dict[str, object]) -> None:
    weight = LinearForm(WIDTH, ENTRIES, "bf16", **changes)  # type: ignore[arg-type]  # a field of each
    tape = Tape(records=True)
    with pytest.raises(UnsupportedRow, match="own 16-bit weight"):
        cut_loss(tape, tape.new("x", WIDTH, "bf16", grad=True), HeadForm(NORM, weight, loss="cut"))
