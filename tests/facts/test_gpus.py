import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.facts import gpus
from toolkit.facts.gpus import GenericGpu, Gpu, GpuVariants, find_gpu
from toolkit.facts.names import UnknownName

GIB = 2**30


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("4090", "GeForce RTX 4090"),
        ("RTX4090", "GeForce RTX 4090"),
        ("GeForce RTX 4090", "GeForce RTX 4090"),
        ("NVIDIA GeForce RTX™ 4090 (24 GB)", "GeForce RTX 4090"),
        ("rtx-4090", "GeForce RTX 4090"),
        ("NVIDIAGeForceRTX4090LaptopGPU", "GeForce RTX 4090 Laptop GPU"),
        ("RTX 4090 Laptop GPU", "GeForce RTX 4090 Laptop GPU"),
        ("RTX 4090 Mobile", "GeForce RTX 4090 Laptop GPU"),
        ("RTX 4070 Ti", "GeForce RTX 4070 Ti"),
        ("RTX 4070 Ti SUPER", "GeForce RTX 4070 Ti SUPER"),
        ("RTX 3060 (12GB)", "GeForce RTX 3060 12GB"),
        ("RTX 3080 (10GB)", "GeForce RTX 3080 10GB"),
        ("GTX 1660 (6GB)", "GeForce GTX 1660"),
        ("Tesla T4", "T4"),
        ("NVIDIA A100-SXM4-40GB", "A100 SXM4 40GB"),
        ("NVIDIA A100 80GB PCIe", "A100 PCIe 80GB"),
        ("NVIDIA H100 80GB HBM3", "H100 SXM5 80GB"),
        ("H100 NVL", "H100 NVL 94GB"),
        ("A6000", "RTX A6000"),
        ("RTX 6000 Ada", "RTX 6000 Ada Generation"),
        ("AMD Instinct MI300X", "Instinct MI300X"),
        ("RX 7900 XTX", "Radeon RX 7900 XTX"),
    ],
)
def test_names_as_documents_write_them(written, name):
    found = find_gpu(written)
    assert isinstance(found, Gpu)
    assert found.name == name


def test_the_4070_ti_is_not_the_super():
    assert find_gpu("RTX 4070 Ti").marketing_bytes == 12 * GIB
    assert find_gpu("RTX 4070 Ti SUPER").marketing_bytes == 16 * GIB


@pytest.mark.parametrize(
    ("written", "sizes"),
    [
        ("A100", [40, 80]),
        ("RTX 3060", [8, 12]),
        ("V100", [16, 32]),
        ("RTX 2060", [6, 12]),
        ("H100", [80, 94]),
    ],
)
def test_a_name_of_several_cards_stays_open(written, sizes):
    found = find_gpu(written)
    assert isinstance(found, GpuVariants)
    assert [size // GIB for size in found.memories] == sizes
    assert found.usable_low == min(gpu.usable_low for gpu in found.members)
    assert found.usable_high == max(gpu.usable_high for gpu in found.members)
    assert found.context_low <= found.context_high
    assert found.cublas_workspace > 0


def test_a_memory_size_narrows_a_name():
    found = find_gpu("A100-80GB")
    assert isinstance(found, GpuVariants)
    assert [gpu.name for gpu in found.members] == ["A100 PCIe 80GB", "A100 SXM4 80GB"]
    assert isinstance(find_gpu("H100 80GB"), GpuVariants)


def test_a_card_that_was_never_sold_so_is_told():
    found = find_gpu("RTX 4080 12GB")
    assert isinstance(found, UnknownName)
    assert found.nearest == ("GeForce RTX 4080",)
    assert "withdrawn before sale" in found.note
    assert "12 GB" in find_gpu("RTX 4070 Ti 16GB").note


@pytest.mark.parametrize("written", ["24 GB", "24GB", "24GB GPU", "24 GiB card", "a GPU with 24 GB of VRAM"])
def test_any_card_of_a_size(written):
    found = find_gpu(written.removeprefix("a "))
    assert isinstance(found, GenericGpu)
    assert found.marketing_bytes == 24 * GIB
    assert {"GeForce RTX 4090", "L4", "A10G"} <= {gpu.name for gpu in found.members}
    assert found.usable_low < 23 * GIB < found.usable_high <= 24 * GIB
    assert found.usable_kind == "derived"


def test_a_size_that_no_card_has():
    found = find_gpu("7 GB")
    assert isinstance(found, UnknownName)
    assert found.nearest == ("6 GB", "8 GB", "4 GB")


@pytest.mark.parametrize("written", ["RTX 9090", "Apple M3 Max", "", "GPU", "4000", "16-24GB", "RTX 3090 / RTX 4090"])
def test_never_guessed(written):
    assert isinstance(find_gpu(written), UnknownName)


def test_the_nearest_cards_are_named():
    assert "GeForce RTX 5090" in find_gpu("RTX 9090").nearest
    assert find_gpu("RTX 4090 Supr").nearest[0] == "GeForce RTX 4090"


def test_one_card_and_several_are_asked_alike():
    for written in ("T4", "A100", "24 GB"):
        found = find_gpu(written)
        assert found.members
        assert found.usable_low <= found.usable_high
        assert found.context_low < found.context_high
        assert found.usable_kind


def test_the_table_is_an_attribute_of_the_module():
    assert len(gpus.GPUS) > 100
    with pytest.raises(AttributeError):
        _ = gpus.NOTHING


@given(st.text(max_size=300))
def test_any_text_has_an_answer(text):
    assert find_gpu(text) is not None


def test_long_text_is_cut():
    assert isinstance(find_gpu("RTX " * 100_000), UnknownName)
