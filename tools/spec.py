"""Writes the tables of python/mobium/protocol/SPEC.md from the code; --check tells if they are current."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from msgspec import inspect, structs

from mobium.protocol import content, limits, messages
from mobium.protocol.codes import CloseCode, ErrorCode, sentence

SPEC = Path(__file__).parent.parent / "python" / "mobium" / "protocol" / "SPEC.md"
_PARTS = (
    messages.ChannelState,
    messages.Distribution,
    messages.Entry,
    messages.IceServer,
    messages.InviteRow,
    messages.Limits,
    messages.NotTaken,
    messages.Speaker,
    messages.WirePrekey,
)
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def _length(info: inspect.BytesType | inspect.StrType) -> str:
    low, high = info.min_length, info.max_length
    if low is None and high is None:
        return ""
    return f" {low}" if low == high else f" {low or 0}..{'' if high is None else high}"


def _kind(info: Any) -> str:
    match info:
        case inspect.BytesType():
            return "bin" + _length(info)
        case inspect.StrType():
            pattern = (info.pattern or "").replace("|", "\\|")  # a bar would end the table's cell
            return "str" + (f" `{pattern}`" if pattern else _length(info))
        case inspect.IntType():
            return "int" + ("" if info.ge is None else f" {info.ge}..{'' if info.le is None else info.le}")
        case inspect.FloatType():
            return "float"
        case inspect.BoolType():
            return "bool"
        case inspect.ListType():
            most = "" if info.max_length is None else f", at most {info.max_length}"
            return f"list of {_kind(info.item_type)}{most}"
        case inspect.TupleType():
            return "list of " + " and ".join(_kind(item) for item in info.item_types)
        case inspect.StructType():
            return f"map {info.cls.__name__}"
        case inspect.UnionType():
            return _kind(next(t for t in info.types if not isinstance(t, inspect.NoneType)))
    raise TypeError(f"no words for {info!r}")


def _fields(cls: Any) -> list[str]:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    defaults = {field.name: field for field in structs.fields(cls)}
    rows = []
    for field in info.fields:
        optional = "" if defaults[field.name].required else ", may be left out"
        rows.append(f"| `{field.encode_name}` | {_kind(field.type)}{optional} |")
    return rows


def _table(cls: Any, title: str) -> list[str]:
    text = (cls.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    rows = _fields(cls)
    head = [f"#### {title}", "", " ".join(text.split()), ""]
    return [*head, *(["| field | type |", "|---|---|", *rows, ""] if rows else [])]


def tables() -> str:
    """The generated part."""
    lines: list[str] = []
    parts: dict[str, Any] = {}
    for direction, union in (("up", messages.ClientMessage), ("down", messages.ServerMessage)):
        lines += [f"### {'Client to server' if direction == 'up' else 'Server to client'}", ""]
        for cls in sorted(union.__args__, key=lambda c: str(c.__struct_config__.tag)):
            lines += _table(cls, f"`{cls.__struct_config__.tag}` ({direction})")
    lines += ["### Parts", ""]
    for cls in _PARTS:
        parts[cls.__name__] = cls
        lines += _table(cls, cls.__name__)
    lines += ["### Content, inside the ciphertext", ""]
    for kind in content.Content.__args__:
        where = " in a channel" if kind is content.ChannelText else ""
        lines += _table(kind, f"`{kind.__struct_config__.tag}`{where}")
    lines += ["### Error codes", "", "| code | sentence |", "|---|---|"]
    lines += [f"| `{code.value}` | {sentence(code)} |" for code in ErrorCode]
    lines += ["", "### Close codes", "", "| code | name |", "|---|---|"]
    lines += [f"| {code.value} | {code.name.lower()} |" for code in CloseCode]
    lines += ["", "### Sizes", "", "| name | value |", "|---|---|"]
    lines += [
        f"| `{name}` | {value} |"
        for name in sorted(limits.__all__)
        if isinstance(value := getattr(limits, name), int)
    ]
    return "\n".join(lines) + "\n"


def current(text: str) -> str:
    """`text` with its generated part made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


def main() -> int:
    """Rewrite the file, or check it."""
    text = SPEC.read_text(encoding="utf-8")
    wanted = current(text)
    if "--check" in sys.argv[1:]:
        if text != wanted:
            print("SPEC.md is not current: run python tools/spec.py", file=sys.stderr)
        return int(text != wanted)
    SPEC.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
