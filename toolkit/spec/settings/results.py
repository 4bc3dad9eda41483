"""How long a loop of one's own may keep what the model gives, where nobody says it."""

from __future__ import annotations

from toolkit.spec.fields.result import OWN_LOOP, TRAINED
from toolkit.spec.scenario import Scenario
from toolkit.spec.settings.profiles import Options


def unsaid_results(scenario: Scenario) -> dict[str, Options]:
    """The choices for `stack.result` of a plain training loop that does not state it; else nothing.

    No profile has it: whoever reads off a figure says of which loop, and asks for the memory of their own.
    """
    own = scenario.trains and scenario.possible("stack.trainer") == (OWN_LOOP,)
    said = "stack.result" in scenario.fields or bool(scenario.possible("parallel.schedule"))
    return {"stack.result": TRAINED} if own and not said else {}
