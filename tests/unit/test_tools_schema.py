"""`@tool`: the schema that a model sees, the arguments that a function gets, the result that an episode gets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from support.context import FakeContext, file_of, photo

from asyncgen.core.errors import InputError, ToolError
from asyncgen.core.types import Context, Picture, Tool, ToolResult
from asyncgen.tools.schema import FunctionTool, tool

if TYPE_CHECKING:
    from asyncgen import Context as CheckersContext


@tool
async def look_up(
    context: Context,
    name: str,
    limit: int = 3,
    radius: float | None = None,
    kind: Literal["city", "river"] = "city",
    exact: bool = False,
    near: Annotated[list[float], {"minItems": 2, "maxItems": 2}] = (),  # type: ignore[assignment]  # only a default
    options: dict[str, int] | None = None,
) -> str:
    """Find a place
    by name, in {coordinates} of {frame}.

    Ask {politely}.

    Args:
        context: The model never sees this one.
        name: The place's name,
            in English: no other.
        limit (int): How many, at most.

        near: [x, y] in {coordinates}.

    Returns:
        unused: what comes after Args is for people.
    """
    return repr((name, limit, radius, kind, exact, near, options))


async def called(function: FunctionTool, **arguments: Any) -> str:
    return (await function(FakeContext(), arguments)).text


def test_the_schema_is_read_from_signature_and_docstring() -> None:
    as_tool: Tool = look_up
    assert as_tool.name == "look_up"
    assert as_tool.schema(coordinates="relative_1000", frame="current") == {
        "type": "function",
        "function": {
            "name": "look_up",
            "description": (
                "Find a place by name, in 0-1000 relative to the picture's width and height of the current picture "
                "(the result of the latest tool, or the original).\n\nAsk {politely}."
            ),
            "parameters": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "description": "The place's name, in English: no other."},
                    "limit": {"type": "integer", "description": "How many, at most."},
                    "radius": {"type": "number"},
                    "kind": {"type": "string", "enum": ["city", "river"]},
                    "exact": {"type": "boolean"},
                    "near": {
                        "type": "array",
                        "items": {"type": "number"},
                        "minItems": 2,
                        "maxItems": 2,
                        "description": "[x, y] in 0-1000 relative to the picture's width and height.",
                    },
                    "options": {"type": "object", "additionalProperties": {"type": "integer"}},
                },
                "required": ["name"],
            },
        },
    }


def test_a_tool_without_docstring_or_parameters_has_an_empty_schema() -> None:
    @tool
    def ping(context: Context) -> str:
        return "pong"

    function = ping.schema()["function"]
    assert function == {
        "name": "ping",
        "description": "",
        "parameters": {"type": "object", "properties": {}, "required": []},
    }


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ({"name": "Bonn"}, ("Bonn", 3, None, "city", False, (), None)),
        ({"name": "Bonn", "limit": "7", "radius": " 2.5 "}, ("Bonn", 7, 2.5, "city", False, (), None)),
        ({"name": "Bonn", "limit": 7.0, "exact": "True"}, ("Bonn", 7, None, "city", True, (), None)),
        ({"name": 12, "limit": "7.0", "near": '[1, "2"]'}, ("12", 7, None, "city", False, [1.0, 2.0], None)),
        ({"name": "Bonn", "limit": None, "options": '{"a": 1.0}'}, ("Bonn", 3, None, "city", False, (), {"a": 1})),
        ({"name": "Bonn", "kind": "river", "colour": "blue"}, ("Bonn", 3, None, "river", False, (), None)),
    ],
    ids=["defaults", "numeric strings", "whole floats", "JSON string for a list", "null is left out", "extra"],
)
async def test_arguments_are_coerced_leniently(arguments: dict[str, Any], values: tuple[Any, ...]) -> None:
    assert await called(look_up, **arguments) == repr(values)


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        ({}, ["needs the argument 'name'"]),
        ({"name": None}, ["needs the argument 'name'"]),
        ({"name": ["Bonn"]}, ["'name'", '["Bonn"]', "a string"]),
        ({"name": True}, ["true", "a string"]),
        ({"name": "a", "limit": 2.5}, ["'limit'", "2.5", "a whole number"]),
        ({"name": "a", "limit": True}, ["'limit'", "true", "a whole number"]),
        ({"name": "a", "limit": "many"}, ["many", "a whole number"]),
        ({"name": "a", "radius": float("nan")}, ["'radius'", "NaN", "a finite number"]),
        ({"name": "a", "radius": "inf"}, ["inf", "a finite number"]),
        ({"name": "a", "radius": 10**400}, ["a finite number"]),
        ({"name": "a", "exact": 1}, ["'exact'", "true or false"]),
        ({"name": "a", "kind": "lake"}, ["lake", 'one of "city", "river"']),
        ({"name": "a", "near": 5}, ["'near'", "5", "a list"]),
        ({"name": "a", "near": "[" * 100_000}, ["'near'", "a list"]),
        ({"name": "a", "near": [1, None]}, ["a list, at [1] a finite number"]),
        ({"name": "a", "options": {"b": "x"}}, ["'options'", 'an object, at ["b"] a whole number']),
        ({"name": "a", "options": [1]}, ["an object"]),
    ],
)
async def test_what_does_not_fit_is_told_with_name_value_type_and_schema(
    arguments: dict[str, Any], texts: list[str]
) -> None:
    with pytest.raises(ToolError) as caught:
        await look_up(FakeContext(), arguments)
    assert [
        text for text in [*texts, "It takes {name: string; limit: integer, optional;"] if text not in str(caught.value)
    ] == []
    assert len(str(caught.value)) < 500


async def test_a_quoted_value_is_short_one_line_and_no_mark_of_ours() -> None:
    with pytest.raises(ToolError) as caught:
        await look_up(FakeContext(), {"name": ["</tool_response>\n<image:0>\ud800" + "x" * 10_000]})
    text = str(caught.value)
    assert not set("<>\n") & set(text)
    assert text.encode()
    assert len(text) < 400


async def test_options_that_are_numbers_are_found_in_strings() -> None:
    @tool
    def turn(context: Context, angle: Literal[90, 180]) -> str:
        return repr(angle)

    assert await called(turn, angle="90") == "90"
    assert turn.schema()["function"]["parameters"]["properties"]["angle"] == {"type": "integer", "enum": [90, 180]}


async def test_a_parameter_that_allows_none_need_not_be_given() -> None:
    @tool
    def find(context: Context, where: str | None, tags: list[str | None] | None = None) -> str:
        return repr((where, tags))

    assert find.schema()["function"]["parameters"]["required"] == []
    assert await called(find, tags=["a", None]) == "(None, ['a', None])"


async def test_a_plain_function_runs_through_offload_and_an_async_one_does_not() -> None:
    @tool
    def slow(context: Context) -> str:
        return threading.current_thread().name

    context = FakeContext()
    await slow(context, {})
    assert context.offloaded == 1
    await look_up(context, {"name": "Bonn"})
    assert context.offloaded == 1


async def test_results_of_every_kind_become_a_tool_result() -> None:
    context = FakeContext([file_of(photo(40, 30))])
    picture = context.pictures[0]
    results: list[tuple[Any, ToolResult]] = [
        ("text", ToolResult(text="text")),
        (picture, ToolResult(text="", pictures=(picture,))),
        (["a", picture, "b"], ToolResult(text="a\nb", pictures=(picture,))),
        (ToolResult(text="own"), ToolResult(text="own")),
    ]
    returned: Any = None

    @tool
    def give(context: Context) -> Any:
        return returned

    for returned, expected in results:  # noqa: B007  # `give` returns it
        assert await give(context, {}) == expected


async def test_a_result_of_another_kind_is_a_bug_of_the_tool() -> None:
    @tool
    def count(context: Context) -> Any:
        return {"count": 3}

    with pytest.raises(TypeError, match="count returned dict"):
        await count(FakeContext(), {})


async def test_what_a_tool_raises_goes_on_up() -> None:
    @tool
    async def crash(context: Context) -> str:
        raise ZeroDivisionError("of the tool's own")

    with pytest.raises(ZeroDivisionError):
        await crash(FakeContext(), {})


def test_a_context_imported_for_type_checkers_only_is_no_obstacle() -> None:
    @tool
    async def fine(context: CheckersContext, place: str) -> Picture | str:
        return place

    assert fine.schema()["function"]["parameters"]["required"] == ["place"]


def test_signatures_that_no_schema_describes_are_refused_with_the_fix() -> None:
    class Local:
        pass

    def nothing() -> str:
        return ""

    def untyped(context: Context, place) -> str:  # type: ignore[no-untyped-def]  # what is refused
        return ""

    def many(context: Context, *places: str) -> str:
        return ""

    def local(context: Context, place: Local) -> str:
        return ""

    def mixed(context: Context, place: int | str) -> str:
        return ""

    def bytes_(context: Context, place: bytes) -> str:
        return ""

    def misspelt(context: Context, place: str) -> str:
        """Find it.

        Args:
            plaice: The place.
        """
        return ""

    fixes: dict[Callable[..., Any], str] = {
        nothing: "first parameter",
        untyped: "place of tool untyped has no type",
        many: "a name of its own",
        local: "'Local' is not defined.*at the top",
        mixed: "place of tool mixed.*use str, int",
        bytes_: "place of tool bytes_.*use str, int",
        misspelt: "plaice",
    }
    for function, fix in fixes.items():
        with pytest.raises(InputError, match=fix):
            tool(function)
