"""Model cards load where the Hub's own library reads them, and say only what is known."""

from pathlib import Path

import pytest
import yaml

from tests.pages.build import GOLDEN, pages_of

hub = pytest.importorskip("huggingface_hub", reason="cards are read by huggingface_hub: pip install huggingface_hub")

NAME = "models/TinyLlama--TinyLlama-1.1B-Chat-v1.0/MODEL_CARD.md"


@pytest.mark.parametrize("case", ["small", "hostile"])
def test_card_loads_and_its_header_survives(case: str, tmp_path: Path) -> None:
    text = pages_of(GOLDEN / case)[NAME].decode()
    (tmp_path / "MODEL_CARD.md").write_text(text, encoding="utf-8")
    card = hub.ModelCard.load(tmp_path / "MODEL_CARD.md")
    header = yaml.safe_load(text.split("---\n")[1])
    assert header == {"model_name": "TinyLlama/TinyLlama-1.1B-Chat-v1.0", "library_name": "transformers"}
    assert card.data.to_dict() == header
    card.save(tmp_path / "again.md")
    again = hub.ModelCard.load(tmp_path / "again.md")
    assert (again.data.to_dict(), again.text.strip()) == (header, card.text.strip())


def test_card_says_how_many_parameters_the_model_has() -> None:
    """The count of the published checkpoint: 1,100,048,384."""
    assert "1,100,048,384 parameters" in pages_of(GOLDEN / "small")[NAME].decode()


def test_base_model_is_named_where_a_scenario_trains_it(tmp_path: Path) -> None:
    (tmp_path / "document.md").write_text("It is quick.\n")
    (tmp_path / "claims.yaml").write_text(
        "document: document.md\n"
        "scenarios: {tuned: {model: TinyLlama/TinyLlama-1.1B-Chat-v1.0, method: full, weights: bf16}}\n"
        'claims: [{quantity: quality, quote: "It is {quick}.", unchecked: "nobody has measured it"}]\n'
    )
    header = yaml.safe_load(pages_of(tmp_path)[NAME].decode().split("---\n")[1])
    assert header["base_model"] == "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
