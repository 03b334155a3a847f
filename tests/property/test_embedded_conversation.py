"""Whatever is sent, reading it ends in a conversation or in a refusal."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.embedded_world import user

from asyncgen.embedded.conversation import ROTATE, ZOOM, BadRequest, read_conversation

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
CALL = st.fixed_dictionaries(
    {"function": st.fixed_dictionaries({"name": st.sampled_from([ROTATE, ZOOM]), "arguments": JSON}) | JSON}
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | JSON, "content": JSON},
    optional={"tool_calls": st.lists(CALL, max_size=3) | JSON},
)


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries({"messages": st.lists(MESSAGE, max_size=5) | JSON}, optional={"tools": JSON}))
def test_any_json_is_read_or_refused(body):
    seen = None
    with suppress(BadRequest):
        seen = read_conversation(body).seen
    assert seen in {None, ()}


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from([ROTATE, ZOOM]),
    arguments=st.fixed_dictionaries({}, optional={"angle": JSON, "bbox_2d": st.lists(JSON, min_size=4, max_size=4)}),
)
def test_any_arguments_give_a_known_place_or_none(name, arguments):
    picture = user(Image.new("RGB", (60, 48)))
    call = {"role": "assistant", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]}
    seen = read_conversation({"messages": [picture, call, picture], "tools": [{"name": name}]}).seen
    assert seen[0].share == 1
    assert all(one.angle in {0, 90, 180, 270} and 0 < one.share <= 1 for one in seen)
