"""The line of every key, in every way TOML has of writing one."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.config.toml_lines import key_lines

TEXT = '''\
# a comment with [brackets] and = signs
top = 1
"quoted key" = "a # not a comment"
a.b . c = 'literal \\'

[table]
x = """
[not.a.table]
y = 1"""
z = [
  1,    # one ]
  { k = "v", l = [2, 3] },
]
when = 2024-03-14 10:00:00Z

[[list]]
name = "first"
[[list.inner]]
n = 1
[[list.inner]]
n = 2
[[list]]
inline = { p.q = 1 }
[list.sub]
s = \'\'\'
one
\'\'\'
last = true
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted key",), 3),
        (("a", "b", "c"), 4),
        (("table",), 6),
        (("table", "x"), 7),
        (("table", "z"), 10),
        (("table", "z", 0), 11),
        (("table", "z", 1, "l", 1), 12),
        (("table", "when"), 14),
        (("list", 0), 16),
        (("list", 0, "inner", 0, "n"), 19),
        (("list", 0, "inner", 1), 20),
        (("list", 1), 22),
        (("list", 1, "inline", "p", "q"), 23),
        (("list", 1, "sub", "s"), 25),
        (("list", 1, "sub", "last"), 28),
    ],
)
def test_a_key_is_found_on_its_line(path: tuple[str | int, ...], line: int) -> None:
    tomllib.loads(TEXT)
    assert key_lines(TEXT)[path] == line


def test_text_that_looks_like_keys_inside_strings_is_none() -> None:
    assert ("not",) not in key_lines(TEXT)
    assert ("table", "y") not in key_lines(TEXT)


_texts = st.text(alphabet="abc[]{}=#,.'\" \\", max_size=12)
_values = st.recursive(
    st.integers() | st.booleans() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)


def _written(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list():
            return "[\n" + ",\n".join(map(_written, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{_written(k)} = {_written(v)}" for k, v in value.items()) + "}"
        case _:
            return str(value)


@given(st.lists(_values, min_size=1, max_size=6))
def test_keys_are_found_behind_any_values(values: list[object]) -> None:
    lines, expected, at = [], {}, 1
    for index, value in enumerate(values):
        text = f"key{index} = {_written(value)}"
        lines.append(text)
        expected[f"key{index}",] = at
        at += text.count("\n") + 1
    text = "\n".join(lines)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a new line inside an inline table is not TOML 1.0
    found = key_lines(text)
    assert {path: found[path] for path in expected} == expected
