"""The types of a recipe's options: those that a command line can give and run.json can hold, and the values that fit them."""

from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

PLAIN = (bool, int, float, str, NoneType)
EXPECTED = "bool, int, float, str, Literal, a tuple such as tuple[int, ...], or one of these | None"


def plain(kind: Any) -> Any:
    """The type without the range that it is annotated with."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def is_kind(kind: Any) -> bool:
    """Whether an option may have this type."""
    kind = plain(kind)
    if get_origin(kind) is Literal:
        return all(isinstance(value, PLAIN) for value in get_args(kind))
    if get_origin(kind) in (Union, UnionType, tuple):
        return all(part is Ellipsis or is_kind(part) for part in get_args(kind))
    return kind in PLAIN


def converted(value: Any, kind: Any) -> Any:
    """A value as a recipe gets it: lists, which run.json has in place of tuples, become tuples where the type has them."""
    return tuple(value) if isinstance(value, list) and _has_tuple(plain(kind)) else value


def fits(value: Any, kind: Any) -> bool:
    """Whether a value has this type; whole numbers fit float, and bools no number."""
    kind = plain(kind)
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and _parts_fit(value, get_args(kind))
    if get_args(kind):  # A union.
        return any(fits(value, part) for part in get_args(kind))
    numeric = {int: Integral, float: Real}.get(kind)
    return isinstance(value, numeric) and not isinstance(value, bool) if numeric else isinstance(value, kind)


def description(kind: Any) -> str:
    """The values that fit, in words: "one of int, None", "a value of type float"."""
    kind = plain(kind)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, get_args(kind)))}"
    if get_origin(kind) in (Union, UnionType):
        return f"one of {', '.join(map(name_of, get_args(kind)))}"
    return f"a value of type {name_of(kind)}"


def name_of(kind: Any) -> str:
    """A type as it is written in an annotation."""
    return "None" if kind is NoneType else str(kind) if get_args(kind) else getattr(kind, "__name__", repr(kind))


def _has_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple or any(get_origin(part) is tuple for part in get_args(kind))


def _parts_fit(values: tuple[Any, ...], kinds: tuple[Any, ...]) -> bool:
    if kinds[-1:] == (Ellipsis,):
        return all(fits(value, kinds[0]) for value in values)
    return len(values) == len(kinds) and all(fits(value, kind) for value, kind in zip(values, kinds, strict=True))
