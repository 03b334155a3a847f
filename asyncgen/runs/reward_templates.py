r"""Chat templates: a decoded sequence in its turns, and the response that is the last of them.

Knows the marks that open and close messages. Does not know rows or rewards. The work is linear in the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from asyncgen.core.types import Json
from asyncgen.runs.reward_chats import chat_of, text_of

_HEADER = re.compile(
    r"<\|im_start\|>(?P<chatml>\w{1,20})(?:<\|im_sep\|>|\n)?"
    r"|<\|start_header_id\|>(?P<llama>\w{1,20})<\|end_header_id\|>\n{0,2}"
    r"|<\|header_start\|>(?P<llama4>\w{1,20})<\|header_end\|>\n{0,2}"
    r"|<\|start_of_role\|>(?P<granite>\w{1,20})<\|end_of_role\|>"
    r"|(?:<\|START_OF_TURN_TOKEN\|>)?<\|(?P<cohere>SYSTEM|USER|CHATBOT)_TOKEN\|>"
    r"|<\|start\|>(?P<harmony>\w{1,20})(?: to=[\w.]{1,60})?(?:<\|channel\|>[\w .=]{1,80})?(?:<\|message\|>)?"
    r"|<start_of_turn>(?P<gemma>\w{1,20})\n?"
    r"|<\|(?P<bars>system|user|assistant|observation)\|>\n?"
    r"|<｜(?P<deepseek>User|Assistant)｜>"
    r"|\[(?P<mistral>/?INST)\]"
    r"|\b(?P<vicuna>USER|ASSISTANT):[ ]?"
)
"""What opens a message; the group that matched names the template, its text the role."""
_ENDS = (
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|eot|>", "<|endoftext|>", "<|end_of_text|>", "<|end|>", "<|return|>",
    "<|call|>", "<end_of_turn>", "<|END_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>",
)  # fmt: skip
"""What closes one."""
_END = re.compile("|".join(map(re.escape, _ENDS)))
_PADS = (
    "<pad>", "<unk>", "[PAD]", "<|pad|>", "<｜▁pad▁｜>", "<|finetune_right_pad_id|>", "<|endoftext|>", "<PAD>",
)  # fmt: skip
_BEGINS = ("<s>", "<bos>", "<|begin_of_text|>", "<｜begin▁of▁sentence｜>", "[gMASK]", "<sop>", "<BOS_TOKEN>", *_PADS)
_BEGIN = re.compile(r"(?:\s|" + "|".join(map(re.escape, _BEGINS)) + ")*+")
"""What may stand before the first message: blanks, padding, the sequence's begin."""
_TAIL = ("</s>", "<eos>", "<EOS_TOKEN>", *_ENDS, *_PADS)
"""What is cut off a response's end; in its middle a text may rightly have such a mark."""
_CLOSING = ("</s>", *_ENDS)
_ROLES = {"model": "assistant", "chatbot": "assistant", "/inst": "assistant", "inst": "user"}
_SYSTEM_FIRST = {"deepseek": "<｜begin▁of▁sentence｜>", "vicuna": "A chat between"}
"""Templates that have a text, the system's, before their first header, and how that begins."""
_NEVER_CLOSED = "bars"
"""GLM's assistant is closed by the next header alone."""
MOST_PADDING = 20_000
"""Marks and blanks that are taken for padding at the end of a sequence."""
FRONT, LEAST = 400, 8
"""Where a prompt would begin in a sequence, and characters below which it may stand in a response by chance."""
_ANSWERING = re.compile(r"<(?:think|answer)>|\\boxed")


@dataclass(frozen=True, slots=True)
class Turn:
    """A message in a template: what it says is `text[start:end]`, marks that close it included."""

    role: str
    start: int
    end: int


def turns_in(text: str, system: str = "") -> list[Turn]:
    """The messages of a text in a chat template; none where it is in no known one. `system`: a text that may stand
    before the first header. What an unclosed message of the assistant goes on with is its own."""
    first = _HEADER.search(text)
    if first is None:
        return []
    template = first.lastgroup or ""
    begin = _BEGIN.match(text, 0, first.start())
    start = begin.end() if begin else 0
    preamble = text[start : first.start()].strip()
    if preamble and preamble != system.strip() and not text.startswith(_SYSTEM_FIRST.get(template, "\0"), 0):
        return []
    found = [("system", 0, start, first.start())] if preamble else []
    for one in _HEADER.finditer(text, first.start()):
        if one.lastgroup != template:
            continue
        closed = not found or found[-1][0] != "assistant" or template == _NEVER_CLOSED
        if closed or text[max(0, one.start() - 200) : one.start()].rstrip().endswith(_CLOSING):
            said = one[template].lower()
            found.append((_ROLES.get(said, said), one.start(), one.end(), 0))
    ends = [one[1] for one in found[1:]] + [len(text)]
    return [Turn(one[0], one[2], end) for one, end in zip(found, ends, strict=True)]


def closed_text(text: str, turn: Turn) -> str:
    """What a message says, without what closes it."""
    end = _END.search(text, turn.start, turn.end)
    return text[turn.start : end.start() if end else turn.end].removesuffix("</s>").strip()


def response_of(query: str, prompt: Json = None) -> str | None:
    """The assistant's last message in a decoded sequence, stripped; None where it cannot be told from the prompt.

    `query` is prompt, chat template and response, or the response alone. Messages of the assistant in `prompt`
    are no response; a header that the model wrote before its message was closed opens none.
    """
    if query.startswith("<|channel|>"):  # the prompt ends with the header's first half
        query = f"<|start|>assistant{query}"
    chat = chat_of(prompt) or []
    before = len(prompt) if isinstance(prompt, str) and prompt.strip() and query.startswith(prompt) else 0
    turns = turns_in(query, text_of(chat[0]) if chat else "")
    said = [one for one in turns if one.role == "assistant"]
    if said:
        own = sum(one.get("role") == "assistant" for one in chat)
        if len(said) <= own:
            return None
        start, stop = max(before, said[-1].start), said[-1].end
    elif before:
        start, stop = before, len(query)
    else:
        return None if turns or _has_prompt(query, prompt) else _without_tail(query.strip())
    end = _END.search(query, start, stop)
    return _without_tail(query[start : end.start() if end else stop].strip())


def _has_prompt(query: str, prompt: Json) -> bool:
    """Whether a sequence in an unknown template begins with the prompt."""
    chat = chat_of(prompt)
    texts: Sequence[str] = [text_of(one) for one in chat] if chat else [prompt] if isinstance(prompt, str) else []
    answering = _ANSWERING.search(query)
    front = query[: answering.start() if answering else len(query)]
    for text in texts:
        said = text.strip()
        if len(said) >= LEAST and 0 <= front.find(said, 0, FRONT + len(said)) <= FRONT:
            return True
    return False


def _without_tail(text: str) -> str:
    """Without the padding at its end, and blanks in it."""
    end = len(text)
    for _ in range(MOST_PADDING):
        if text.endswith(_TAIL, 0, end):
            end -= next(len(mark) for mark in _TAIL if text.endswith(mark, 0, end))
        elif end and text[end - 1].isspace():
            end -= 1
        else:
            break
    return text[:end].rstrip()
