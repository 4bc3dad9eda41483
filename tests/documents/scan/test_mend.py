"""Text read through broken encodings; the breaking is done here, by Python's own codecs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents.scan.scanned import found
from toolkit.documents.document import Document
from toolkit.documents.scan.mend import origin, read_through
from toolkit.documents.scan.scan import scan

TEXT = (
    "# Größe → Speicher 🚀\n\n| Karte | Fits in 24 GB? |\n|---|---|\n| RTX 4090 | ✅ |\n\n"
    "Es braucht ≈ 14–16 GB VRAM × 2.\n"
)


def broken(text: str, codec: str) -> str:
    """UTF-8 read as something else; bytes that it has no character for stand for themselves."""
    return "".join(bytes([byte]).decode(codec, "ignore") or chr(byte) for byte in text.encode("utf-8"))


@pytest.mark.parametrize("codec", ["cp1252", "cp1254", "mac_roman"])
def test_broken_text_is_read_as_it_was_meant(codec: str) -> None:
    assert read_through(broken(TEXT, codec))[0] == TEXT


@pytest.mark.parametrize("codec", ["cp1252", "cp1254", "mac_roman"])
def test_the_same_is_found_in_broken_text_at_its_place_in_the_file(codec: str) -> None:
    source = broken(TEXT, codec)
    scanned = scan(Document("guide.md", source))
    texts = [scanned.written(claim.start, claim.end) for claim in scanned.claims]
    assert texts == [broken(text, codec) for _, text in found(TEXT)]
    for claim, text in zip(scanned.claims, texts, strict=True):
        place = scanned.place(claim.start, claim.end)
        assert source.splitlines()[place.line - 1][place.column - 1 :].startswith(text)


@pytest.mark.parametrize(
    "text", ["déjà vu, São Paulo, „Größe“", "√2 ≈ 1.41 and ¬p", "naïve café — 5 °C", "日本語の文書"]
)
def test_sound_text_stays(text: str) -> None:
    assert read_through(text)[0] == text


def test_a_comma_is_a_decimal_point_only_where_no_point_is() -> None:
    assert read_through("14,5 GB und 0,5 GB")[0] == "14.5 GB und 0.5 GB"
    assert read_through("14,5 GB and 0.5 GB")[0] == "14,5 GB and 0.5 GB"


@given(st.text(alphabet="aé✅→🚀×€ \n24GBGo,.âœ…Ã—‚úÖ", max_size=60))
def test_every_place_leads_back_in_order(text: str) -> None:
    meant, steps = read_through(text)
    origins = [origin(steps, spot) for spot in range(len(meant) + 1)]
    assert origins == sorted(origins)
    assert all(0 <= offset <= len(text) for offset in origins)
    assert origins[-1] == len(text)
