"""Decodes documents that are not UTF-8, for scanning alone."""

from __future__ import annotations

import codecs

_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LOST = "\ufffd"


def decoded(data: bytes) -> str:
    """The text of some bytes: UTF-8, else UTF-16 by its mark, else Windows-1252, else UTF-8 with what is none as "�".

    Windows-1252 is taken for the encoding only where no byte above ASCII is a part of UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return data.decode(codec, "replace")
    text = data.decode("utf-8-sig", "replace")
    if all(character.isascii() or character == _LOST for character in text):
        return data.decode("cp1252", "replace")
    return text
