"""Tables that programs print, in blocks of output; expected values by reading."""

from tests.documents.scan.scanned import found

PRINTED = """
```{language}
$ models list
Rank  Model          Quant   Est. Mem   Verdict  tok/s
   1  qwen3:30b      Q4_K_M  19.8 GiB   yes       55.6
   2  gemma3:27b             17.1 GiB   slow       6.2
```
"""


def test_a_printed_table_is_read_by_its_columns() -> None:
    assert found(PRINTED.format(language="text")) == [("peak_memory", "19.8 GiB"), ("peak_memory", "17.1 GiB")]
    assert found(PRINTED.format(language="")) == found(PRINTED.format(language="console"))


def test_code_prints_no_table() -> None:
    assert found(PRINTED.format(language="python")) == []


def test_a_cell_belongs_to_the_heading_it_stands_under() -> None:
    text = """
```
MODEL        WEIGHTS   KV CACHE
qwen2.5:14b  8.4 GiB    6.0 GiB
mistral:24b             5.0 GiB
```
"""
    assert found(text) == [("weights", "8.4 GiB"), ("kv_cache", "6.0 GiB"), ("kv_cache", "5.0 GiB")]


def test_a_table_of_something_else_is_none() -> None:
    assert found("```\nNAME   STATUS  PORT\nollama  up     11434\n```\n") == []


def test_a_huge_table_and_a_long_line_are_read_in_time() -> None:
    rows = "".join(f"model-{number}  {number % 90} GB\n" for number in range(3000))
    assert len(found(f"```\nNAME  ID  SIZE\n{rows}```\n")) in range(3001)
    assert found("```\nNAME  ID  SIZE\n" + "a  b  1 GB  " * 4000 + "\n```\n") == []
