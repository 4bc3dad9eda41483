"""The release of a package that the command line states beside a configuration, which states none itself."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from toolkit.spec.fields.value import Fixed
from toolkit.spec.training_configs.config import Config


def stated_release(config: Config, package: str) -> Version | None:
    """The release that `--stack-PACKAGE` states; None for none, for several, and for what is not a version."""
    field = config.said.get(f"stack.{package}")
    if field is None or not isinstance(field.value, Fixed):
        return None
    try:
        return Version(str(field.value.value))
    except InvalidVersion:
        return None
