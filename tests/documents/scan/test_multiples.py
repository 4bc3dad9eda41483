"""Parts and multiples of memory written in words or as fractions; expected by reading and by hand."""

import pytest

from tests.documents.scan.scanned import ends, found


@pytest.mark.parametrize(
    ("text", "figure", "ratio"),
    [
        ("It uses 1/2 the memory of f16.", "1/2", "0.5"),
        ("It uses 1/4 of the VRAM of f16.", "1/4", "0.25"),
        ("The memory usage falls to 1/8.", "1/8", "0.125"),
        ("显存占用约为全注意力的1/8。", "1/8", "0.125"),
        ("メモリ使用量1/10。", "1/10", "0.1"),
        ("Cuts the memory footprint in half.", "half", "0.5"),
        ("The memory footprint is halved.", "halved", "0.5"),
        ("It takes twice the VRAM.", "twice", "2"),
        ("La moitié de la mémoire suffit.", "moitié", "0.5"),
        ("显存减半。", "减半", "0.5"),
        ("Cuts VRAM by a factor of 4.", "4", "4"),
        ("It reduces peak memory usage by 2.6 times. More follows.", "2.6 times", "2.6"),
        ("Quantization makes models 4 times smaller on disk.", "4 times", "4"),
        ("VRAM use drops 4-fold.", "4-fold", "4"),
        ("It needs 2x as much memory.", "2x", "2"),
        ("The model size shrinks, a 3.6x model size reduction.", "3.6x", "3.6"),
    ],
)
def test_parts_and_multiples_of_memory_are_ratios(text: str, figure: str, ratio: str) -> None:
    assert found(text) == [("change", figure)]
    assert [(low, high) for low, high, _, _ in ends(text)] == [(ratio, ratio)]


@pytest.mark.parametrize(
    "text",
    [
        "Half precision models are in GPU memory.",
        "VRAM of old (4x A100 needed)",
        "It is 3 times faster, and memory is fine.",
        "The draft is 5x smaller than the target.",
        "Memory bandwidth doubles; half the bandwidth.",
        "Increases training throughput by 20% and lowers what memory costs.",
    ],
)
def test_other_ratios_are_none_of_memory(text: str) -> None:
    assert found(text) == []


def test_a_share_of_speed_beside_one_of_memory_is_left_alone() -> None:
    assert found("It increases throughput by more than 20% and reduces memory usage by 60%.") == [("change", "60%")]
