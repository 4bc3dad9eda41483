import sys
from datetime import date

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from toolkit.facts import releases
from toolkit.facts.names import UnknownName
from toolkit.facts.software import (
    PACKAGES,
    Allowed,
    Conflict,
    Release,
    UnknownRelease,
    allows,
    conflicts,
    features,
    find_package,
    first_support,
    recorded,
    release,
    supports,
    versions,
)

STACK = {
    "unsloth": "2025.11.1",
    "unsloth_zoo": "2025.11.1",
    "torch": "2.8.0+cu128",
    "transformers": "4.57.1",
    "trl": "0.23.0",
    "bitsandbytes": "0.48.2",
}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_form_of_a_table(package):
    assert date.fromisoformat(recorded(package)) >= date(2026, 11, 1)
    listed = versions(package)
    assert listed
    assert [Version(version) for version in listed] == sorted(Version(version) for version in listed)
    for version in listed:
        found = release(package, version)
        assert isinstance(found, Release)
        assert "2010" < found.date <= recorded(package)
        for text in found.requires or ():
            requirement = Requirement(text)
            assert find_package(requirement.name) in PACKAGES
            assert "extra" not in str(requirement.marker or "")


def test_requirements_of_the_packages_that_decide_stacks():
    for package, since in PACKAGES.items():
        if since is None or package.startswith("unsloth"):
            continue
        for version in versions(package):
            found = release(package, version)
            stable = not Version(version).is_prerelease and found.yanked is None
            if stable and found.date >= since and package != "torch":
                assert found.requires is not None, (package, version)


def test_the_releases_that_documents_name():
    assert release("trl", "0.19.0").date == "2025-06-20"
    assert release("trl", "0.23.0").date == "2025-09-10"
    assert release("unsloth", "2025.11.1").date == "2025-11-03"
    assert release("bitsandbytes", "0.48.2").date == "2025-10-29"
    assert release("torch", "2.8.0").date == "2025-08-06"


@pytest.mark.parametrize(
    ("package", "written", "version"),
    [
        ("PyTorch", "2.8.0+cu128", "2.8.0"),
        ("Transformers", "4.35", "4.35.0"),
        ("TRL", "v0.23.0", "0.23.0"),
        ("unsloth_zoo", "2025.11.1", "2025.11.1"),
        ("flash attention", "2.8.3", "2.8.3"),
    ],
)
def test_versions_as_documents_write_them(package, written, version):
    assert release(package, written).version == version


def test_a_release_that_never_was():
    found = release("unsloth", "2024.11.1")
    assert isinstance(found, UnknownRelease)
    assert found.nearest == ("2024.10.7", "2024.11.2")
    assert not found.later
    assert "2024.11.1" in found.reason


def test_a_version_newer_than_the_table_is_not_called_wrong():
    found = release("trl", "99.0")
    assert isinstance(found, UnknownRelease)
    assert found.later
    assert found.nearest == (versions("trl")[-1],)


@pytest.mark.parametrize("text", ["latest", "", "2.8.x", "9" * 5_000])
def test_what_is_no_version(text):
    assert isinstance(release("torch", text), UnknownRelease)
    assert isinstance(allows("trl", "0.23.0", "transformers", text), UnknownRelease)


def test_unknown_packages():
    assert release("numpyy", "1.0") == UnknownName("numpyy", ())
    assert find_package("pytroch") == UnknownName("pytroch", ("torch",))
    assert isinstance(allows("numpy", "1.0", "trl", "0.23.0"), UnknownName)
    assert isinstance(allows("trl", "0.23.0", "numpy", "1.0"), UnknownName)


def test_the_stack_of_the_gpt_oss_document_fits_together():
    assert conflicts(STACK) == ()


def test_the_repair_of_the_gpt_oss_document_breaks_its_stack():
    found = conflicts(STACK | {"trl": "0.19.0"})
    requirement = "trl!=0.19.0,<=0.23.0,>=0.18.2"
    assert found[0] == Conflict("unsloth", "2025.11.1", "trl", "0.19.0", requirement)
    assert [conflict.package for conflict in found] == ["unsloth", "unsloth_zoo"]


def test_what_a_release_allows():
    assert allows("unsloth", "2025.11.1", "trl", "0.23.0").answer is True
    assert allows("unsloth", "2025.11.1", "trl", "0.24.0").answer is False
    assert allows("trl", "0.23.0", "bitsandbytes", "0.48.2") == Allowed(True, None)
    assert allows("unsloth", "2025.11.1", "triton", "2.3.0").answer is False  # a condition that Linux meets
    assert allows("vllm", "0.11.0", "torch", "2.8.0") == Allowed(None, None)
    assert isinstance(allows("unsloth", "2024.11.1", "trl", "0.23.0"), UnknownRelease)


@pytest.mark.parametrize(
    ("package", "feature", "since"),
    [
        ("transformers", "gpt_oss", "4.55.0"),
        ("transformers", "qwen2", "4.37.0"),
        ("transformers", "qwen3", "4.51.0"),
        ("transformers", "llama", "4.28.0"),
        ("transformers", "mistral", "4.34.0"),
        ("transformers", "mixtral", "4.36.0"),
        ("transformers", "phi3", "4.41.0"),
        ("transformers", "gemma", "4.38.0"),
        ("transformers", "gemma2", "4.42.0"),
        ("transformers", "gemma3_text", "4.50.0"),
        ("transformers", "deepseek_v3", "4.51.0"),
        ("transformers", "deberta-v2", "4.4.0"),
        ("transformers", "mxfp4", "4.55.0"),
        ("transformers", "llama3_rope", "4.43.0"),
        ("vllm", "awq", "0.2.0"),
        ("transformers", "nf4", "4.30.0"),
        ("transformers", "load_in_8bit", "4.22.0"),
        ("bitsandbytes", "nf4", "0.39.0"),
        ("peft", "qlora", "0.4.0"),
        ("peft", "all-linear", "0.8.0"),
        ("trl", "SFTTrainer", "0.4.2"),
        ("trl", "entropy_from_logits", "0.20.0"),
        ("unsloth", "gpt-oss", "2025.8.2"),
    ],
)
def test_since_when_a_thing_is_known(package, feature, since):
    support = first_support(package, feature)
    assert support.since == since
    assert support.how
    assert support.source


@pytest.mark.parametrize("package", PACKAGES)
def test_features_name_releases(package):
    for feature in features(package):
        support = first_support(package, feature)
        assert isinstance(release(package, support.since), Release), (feature, support.since)


def test_whether_a_version_knows_a_thing():
    assert supports("unsloth", "2024.11.2", "gpt_oss") is False
    assert supports("transformers", "4.57.1", "mxfp4") is True
    assert supports("transformers", "4.57.1", "no such thing") is None
    assert supports("numpy", "1.0", "x") is None
    assert first_support("numpy", "x") is None


def test_one_table_is_read_for_one_release_and_only_once():
    releases._table.cache_clear()
    for _ in range(3):
        assert isinstance(release("unsloth", "2025.11.1"), Release)
    assert releases._table.cache_info().misses == 1


def test_packaging_is_imported_only_when_versions_are_compared():
    import subprocess

    code = (
        "import sys; from toolkit.facts.software import release; release('trl', '0.23.0');"
        "sys.exit('packaging' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
