"""The tables of keys: what is said to matter is not said to be irrelevant, too."""

import pytest

from toolkit.spec.fields.names import IMPLEMENTATIONS
from toolkit.spec.fields.names import OPTIMIZERS as KNOWN
from toolkit.spec.training_configs import TOOLS, axolotl_keys, hugging_face, llamafactory, torchtune
from toolkit.spec.training_configs.irrelevant import irrelevant
from toolkit.spec.training_configs.optimizers import COMPONENTS, OPTIMIZERS

TABLES = {
    "trl": hugging_face, "transformers": hugging_face, "axolotl": axolotl_keys, "llamafactory": llamafactory,
    "torchtune": torchtune,
}  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
def test_no_key_matters_and_does_not(tool: str) -> None:
    table = TABLES[tool]
    rows = (*table.STOPS, *table.GOES_WITHOUT)
    assert len({key for key, _ in rows}) == len(rows)
    assert all(reason and not reason.endswith(".") for _, reason in rows)
    harmless = irrelevant(tool)
    families = tuple(key[:-1] for key in harmless if key.endswith("*"))
    assert not [key for key, _ in rows if key in harmless or key.startswith(families or "\0")]


def test_optimizers_are_known() -> None:
    assert {name for name, _ in OPTIMIZERS.values()} | set(COMPONENTS.values()) <= set(KNOWN)
    assert {how for _, how in OPTIMIZERS.values()} <= {*IMPLEMENTATIONS, None}
