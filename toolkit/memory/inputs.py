"""What a row of a ledger is computed from, for whoever asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toolkit.spec.settings.setting import Setting


class Inputs(Mapping[str, int | str]):
    """What a setting says in the fields that a row follows, where that is a number or a word; looked up when asked."""

    __slots__ = ("_fields", "_setting")

    def __init__(self, setting: Setting, fields: tuple[str, ...]) -> None:
        self._setting = setting
        self._fields = fields

    def __getitem__(self, field: str) -> int | str:
        return self._said()[field]

    def __iter__(self) -> Iterator[str]:
        return iter(self._said())

    def __len__(self) -> int:
        return len(self._said())

    def __repr__(self) -> str:
        return repr(self._said())

    def _said(self) -> dict[str, int | str]:
        setting = self._setting
        said = {field: getattr(setting, field) for field in self._fields}
        said["stack"] = setting.stack.label()
        if setting.lora is not None and "lora" in said:
            said["lora"] = f"rank {setting.lora.rank}"
        if setting.peft is not None and "peft" in said:
            said["peft"] = setting.method
        if setting.validation is not None and "validation" in said:
            said["validation"] = f"{setting.validation.batch_size} x {setting.validation.sequence_length} tokens"
        if setting.galore is not None and "galore" in said:
            said["galore"] = f"rank {setting.galore.rank}"
        return {field: value for field, value in said.items() if isinstance(value, int | str)}
