"""The two picture tools: zoom into a part, rotate by an angle.

Know what the model may ask and what it is told. Do not know how pixels are cut or kept: the context edits.
"""

from __future__ import annotations

from typing import Annotated, Final

from asyncgen.core.errors import ToolError
from asyncgen.core.types import Context, Picture
from asyncgen.tools.boxes import zoom_box
from asyncgen.tools.schema import tool
from asyncgen.tools.text import cleaned

_BOXES: Final = {
    "pixels": [[100, 100, 500, 500]],
    "relative_1000": [[100, 100, 500, 500]],
    "relative_1": [[0.1, 0.1, 0.5, 0.5]],
}
"""Examples for each convention."""


@tool
async def image_zoom_in_tool(
    context: Context,
    bbox_2d: Annotated[list[float], {"minItems": 4, "maxItems": 4, "examples": _BOXES}],
    label: str = "",
) -> list[str | Picture]:
    """Zoom into a part of {frame} to see its details.

    Args:
        bbox_2d: The part as [x1, y1, x2, y2], its top-left and bottom-right corners, in {coordinates}.
        label: What is in that part.
    """
    base = _base(context)
    full = (base.full_width, base.full_height)
    box = zoom_box(bbox_2d, coordinates=context.coordinates, seen=(base.width, base.height), full=full)
    picture = await context.edit("zoom", {"image": base.image, "box": list(box)})
    corners = ", ".join(f"{corner:.10g}" for corner in bbox_2d)
    named = f" ({what})" if (what := cleaned(label)) else ""
    return [f"Zoomed into [{corners}]{named}. {_size(picture)}", picture]


@tool
async def image_rotate_tool(context: Context, angle: float) -> list[str | Picture]:
    """Rotate {frame}. The canvas grows so that nothing is cut off; new corners are white.

    Args:
        angle: Degrees; positive turns counter-clockwise, negative clockwise.
    """
    picture = await context.edit("rotate", {"image": _base(context).image, "angle": angle})
    way = "counter-clockwise" if angle >= 0 else "clockwise"
    return [f"Rotated by {abs(angle):.10g} degrees {way}. {_size(picture)}", picture]


def _base(context: Context) -> Picture:
    """The picture that the task's frame means."""
    pictures = [one for one in context.pictures if one.source == "sample" or context.frame == "current"]
    if not pictures:
        raise ToolError("There is no picture in this conversation. Go on without picture tools.")
    return pictures[-1] if context.frame == "current" else pictures[0]


def _size(picture: Picture) -> str:
    return f"The picture is {picture.width}x{picture.height} pixels."
