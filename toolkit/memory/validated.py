"""The fullest moment of passes without gradients between two steps of training."""

from __future__ import annotations

from toolkit.memory.context import Context
from toolkit.memory.contexts import gradient_bytes
from toolkit.memory.formula.ends.outputs import last_outputs
from toolkit.memory.formula.ends.predictions import PREDICTIONS, predictions
from toolkit.memory.formula.inputs import angles, ends_before_logits
from toolkit.memory.ledger import PhaseName
from toolkit.memory.libraries.training_caches import validation_cache
from toolkit.memory.libraries.versions import older
from toolkit.memory.programs.moments import NAMED, Fullest, of_validation
from toolkit.memory.programs.programs import Programs
from toolkit.memory.programs.validation import Held, without_gradients
from toolkit.memory.refusal import UnsupportedRow
from toolkit.memory.tape.gradients import GRADIENTS
from toolkit.memory.tape.recording import programs_of
from toolkit.memory.weights.backward import TORCH_FREES_GRADIENTS
from toolkit.spec.fields.result import UNTIL_NEXT


def fullest_between(context: Context, validated: Context) -> Fullest:
    """The fullest moment of a validation's passes; `context` is that of the step before. Raises UnsupportedRow."""
    validation = context.setting.validation
    assert validation is not None
    if validation.kept_batches and len({kind.stack for kind in validated.architecture.layers}) > 1:
        raise UnsupportedRow(PREDICTIONS, "no formula for what an evaluation keeps of an encoder and a decoder yet")
    batches, each = validation.kept_batches, sum(predictions(validated))
    before = (batches - 1 + (batches > 2)) * each  # joined, and the last batch's, which has a name of its own
    named = _named(context) + _named(validated)  # the training loop's name, and that of the loop which validates
    turned = angles(validated, PhaseName.VALIDATION) if ends_before_logits(validated, PhaseName.VALIDATION) else 0
    gradients = gradient_bytes(context) if older(context.setting, "torch", TORCH_FREES_GRADIENTS) else 0
    stays = (NAMED, named), (GRADIENTS, gradients)
    held = Held(turned, ((PREDICTIONS, max(before, 0)), *stays), ((PREDICTIONS, 2 * batches * each), *stays))
    return of_validation(passing_programs(validated), validated.scale, held)


def passing_programs(validated: Context) -> Programs:
    """The programs of a validation's passes."""
    cache = validation_cache(validated.setting, validated.architecture)
    return without_gradients(programs_of(validated), cache)


def _named(context: Context) -> int:
    """The bytes of the last pass's result, where the loop has a name for it until the next."""
    return last_outputs(context) if context.setting.stack.result == UNTIL_NEXT else 0
