"""The world map and its matcher, loaded once a test process, and pictures in the form of the chat protocol."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from functools import cache

from PIL import Image

from asyncgen.core.types import Json
from asyncgen.embedded.conversation import ROTATE, ZOOM
from asyncgen.embedded.matcher import MapMatcher
from asyncgen.embedded.vision_server import MapEyes
from asyncgen.embedded.worldmap import cut_tile, load_world

TOOLS = [
    {"type": "function", "function": {"name": name, "description": "Works on the original picture."}}
    for name in (ROTATE, ZOOM)
]
TEXT_TOOLS = (
    '<tools>\n{"name": "image_rotate_tool"}\n{"name": "image_zoom_in_tool"}\n</tools>\n'
    'Write <tool_call>\n{"name": "image_rotate_tool", "arguments": {"angle": 90}}\n</tool_call>'
)

world = cache(load_world)


@cache
def matcher() -> MapMatcher:
    return MapMatcher(world())


@cache
def eyes() -> MapEyes:
    return MapEyes(matcher())


def tile(lat: float, lon: float, span: float) -> Image.Image:
    return cut_tile(world(), lat, lon, span)


def jpeg(image: Image.Image, quality: int = 60) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def image_part(data: bytes) -> dict[str, Json]:
    return {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(data).decode()}}


def user(*parts: str | Image.Image) -> dict[str, Json]:
    content = [{"type": "text", "text": part} if isinstance(part, str) else image_part(jpeg(part)) for part in parts]
    return {"role": "user", "content": content}


def applied(name: str, arguments: Mapping[str, Json], original: Image.Image) -> Image.Image:
    """What the image tools would give back, on the original and in pixels."""
    if name == ROTATE:
        return original.rotate(arguments["angle"], expand=True)
    left, top, right, bottom = arguments["bbox_2d"]
    return original.crop((left, top, right, bottom))


def kilometres(here: Sequence[float], there: Sequence[float]) -> float:
    """Haversine with R = 6371 km."""
    lat1, lon1, lat2, lon2 = map(math.radians, (*here, *there))
    part = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(part))


def boxed(content: str) -> tuple[float, float]:
    lat, lon = content.rsplit("\\boxed{", 1)[1].split("}", 1)[0].split(",")
    return float(lat), float(lon)
