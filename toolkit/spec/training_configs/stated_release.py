"""The release of a package that the command line names beside a configuration, which names none itself."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from toolkit.spec.fields.value import Fixed
from toolkit.spec.training_configs.config import Config


def stated_release(config: Config, package: str) -> Version | None:
    """The release that `--stack-PACKAGE` says; None where it says none, several, or what is no version."""
    field = config.said.get(f"stack.{package}")
    if field is None or not isinstance(field.value, Fixed):
        return None
    try:
        return Version(str(field.value.value))
    except InvalidVersion:
        return None
