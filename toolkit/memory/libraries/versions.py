"""Releases that a stack names, or that what it names must have."""

from __future__ import annotations

from functools import lru_cache

from packaging.version import InvalidVersion, Version

from toolkit.spec.settings import stack_rules
from toolkit.spec.settings.setting import Setting


def older(setting: Setting, package: str, than: Version) -> bool:
    """Whether the version of a package that the stack names, or must have, is older than one."""
    version = package_version(setting, package)
    return version < than if version is not None else stack_rules.surely_older(setting.stack.versions, package, than)


def package_version(setting: Setting, package: str) -> Version | None:
    """The version of a package that the stack names, if it is one."""
    text = setting.stack.versions.get(package)
    return None if text is None else _parsed(text)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
