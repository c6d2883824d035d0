"""Records and entities are dataclasses to whoever uses them."""

from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from tui_chat.core.record import entity, record


@record
class Point:
    x: int
    y: int = 2
    names: list[str] = field(default_factory=list, compare=False)
    secret: str = field(default="s", repr=False)


@dataclass(frozen=True, slots=True)
class Standard:
    x: int
    y: int = 2
    names: list[str] = field(default_factory=list, compare=False)
    secret: str = field(default="s", repr=False)


@entity
class Thing:
    name: str
    parts: list[int] = field(default_factory=list)


@record
class Nothing:
    pass


def test_a_record_looks_like_a_frozen_dataclass():
    ours, theirs = Point(1, secret="x"), Standard(1, secret="x")
    assert repr(ours) == repr(theirs).replace("Standard", "Point")
    assert [each.name for each in fields(ours)] == [each.name for each in fields(theirs)]
    assert Point.__match_args__ == Standard.__match_args__
    assert not hasattr(ours, "__dict__")


def test_records_are_equal_by_the_fields_that_are_compared():
    assert Point(1, names=["a"]) == Point(1, names=["b"])
    assert hash(Point(1, names=["a"])) == hash(Point(1, names=["b"]))
    assert Point(1) != Point(2)
    assert Point(1) != Standard(1)  # type: ignore[comparison-overlap]
    assert Nothing() == Nothing()


def test_each_record_has_defaults_of_its_own():
    one, other = Point(1), Point(1)
    assert one.y == 2
    assert one.names == []
    assert one.names is not other.names
    assert replace(one, y=3) == Point(1, 3)


def test_a_record_refuses_changes_and_wrong_arguments():
    point = Point(1)
    with pytest.raises(FrozenInstanceError, match="'x' of a Point"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        Point(1, z=2)  # type: ignore[call-arg]


def test_an_entity_changes_and_is_only_itself():
    one, other = Thing("a"), Thing("a")
    one.name = "b"
    one.parts.append(1)
    assert repr(one) == "Thing(name='b', parts=[1])"
    assert other.parts == []
    assert Thing("a") != other
    assert len({one, other}) == 2
    assert not hasattr(one, "__dict__")


def test_what_a_record_cannot_do_is_refused_when_the_class_is_made():
    class Checked:
        x: int

        def __post_init__(self) -> None: ...

    class Late:
        x: int = field(init=False)

    for refused in (Checked, Late):
        with pytest.raises(TypeError, match="use a dataclass"):
            record(refused)
