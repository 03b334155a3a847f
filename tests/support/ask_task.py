"""A small task of a user's own that has a search tool, as the text of its file."""

ASK = """
from dataclasses import dataclass

from asyncgen import Task, tools


@dataclass(frozen=True)
class Ask(Task):
    user: str = "{question}"
    url: str = "http://127.0.0.1:1/retrieve"

    @property
    def tools(self):
        return (tools.SearchTool(self.url),)

    def answer(self, text: str) -> str:
        return text.partition("answer: ")[2]
"""
