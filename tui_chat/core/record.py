"""`@record` and `@entity`: dataclasses with slots that cost a tenth to define.

The standard decorator compiles up to six methods for each class before anything is asked of it: 0.45 ms for a frozen
one, and some fifty classes stand between a start and its first paint. Here the methods are shared, and `__init__` is
compiled at the first call. `dataclasses.fields` and `dataclasses.replace` work as usual; records cannot be
pickled or copied.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, field_specifiers=(field, Field))
def record(cls: type[_T]) -> type[_T]:
    """Make `cls` a value: frozen, equal to what has the same fields, hashable."""
    made: Any = entity(cls)
    compared = [each.name for each in fields(made) if each.compare]
    values = attrgetter(*compared) if compared else type

    def equal(self: object, other: object) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    made.__eq__, made.__hash__ = equal, lambda self: hash(values(self))
    made.__setattr__ = made.__delattr__ = _refuse
    return made  # type: ignore[no-any-return]


@dataclass_transform(eq_default=False, field_specifiers=(field, Field))
def entity(cls: type[_T]) -> type[_T]:
    """Make `cls` a thing: its fields change, and it is equal to nothing but itself."""
    if own := {"__init__", "__post_init__", "__eq__", "__hash__"} & cls.__dict__.keys():
        raise TypeError(f"{cls.__name__} defines {', '.join(sorted(own))}; use a dataclass")
    cls.__doc__ = cls.__doc__ or cls.__name__  # else dataclass writes the signature there, which is slow
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    if any(each.kw_only or not each.init for each in fields(made)):
        raise TypeError(f"{cls.__name__} has fields that a record cannot have; use a dataclass")

    def init(self: object, *args: object, **named: object) -> None:
        made.__init__ = _compiled(made)
        made.__init__(self, *args, **named)

    made.__init__ = init
    if made.__repr__ is object.__repr__:
        made.__repr__ = _shown
    return made  # type: ignore[no-any-return]


def _compiled(cls: Any) -> Callable[..., None]:
    """Write the `__init__` that a dataclass would have."""
    scope: dict[str, Any] = {"_set": object.__setattr__, "_absent": MISSING}
    parameters, lines = [], []
    for each in fields(cls):
        name, default, value = each.name, "", each.name
        if each.default is not MISSING:
            scope[f"_default_{name}"], default = each.default, f"=_default_{name}"
        elif each.default_factory is not MISSING:
            scope[f"_make_{name}"], default = each.default_factory, "=_absent"
            value = f"_make_{name}() if {name} is _absent else {name}"
        parameters.append(name + default)
        lines.append(f" _set(self, {name!r}, {value})")
    head = ", ".join(("self", *parameters))
    exec(f"def __init__({head}):\n" + "\n".join(lines or [" pass"]), scope)  # noqa: S102  as dataclasses does
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _refuse(self: object, name: str, *_: object) -> None:
    raise FrozenInstanceError(f"cannot change {name!r} of a {type(self).__name__}")


def _shown(self: Any) -> str:
    parts = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(parts)})"
