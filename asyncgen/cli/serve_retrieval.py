"""`serve-retrieval`: a retrieval server on this machine, over a corpus of the user's.

Knows the command's flags and what is printed. Does not know what is served.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number


def serve_retrieval(
    corpus: Path,
    /,
    *,
    port: Annotated[int, Parameter(help="0: any free one.", validator=Number(gte=0, lte=65535))] = 8001,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    index: Annotated[Path | None, Parameter(help="Folder of the index; default: CORPUS.index.")] = None,
    topk: Annotated[
        int, Parameter(help="Passages for a query that does not say how many.", validator=Number(gte=1, lte=100))
    ] = 3,
    text: Annotated[
        str, Parameter(help="Column of the text; default: contents, text, passage … or the one of strings.")
    ] = "",
    title: Annotated[str, Parameter(help="Column of the title; default: title, or the first line of contents.")] = "",
    threads: Annotated[
        int | None, Parameter(help="Threads that search; default: one a processor.", validator=Number(gte=1, lte=1024))
    ] = None,
    port_file: Annotated[Path | None, Parameter(help="Write the port here when ready.")] = None,
    watch_stdin: Annotated[
        bool, Parameter(negative=(), help="Stop when stdin ends, as it does with its parent.")
    ] = False,
) -> int:
    """Serve the passages of a corpus with the protocol of Search-R1 (POST /retrieve), until Ctrl-C or SIGTERM.

    CORPUS is a .jsonl, .json or .parquet file, a folder of such files or one written by datasets.save_to_disk, with
    title and text in columns or in wiki-18's form. It is indexed (BM25) at the first start.

    Examples:
    `asyncgen serve-retrieval wiki-18.jsonl --port 8001`
    `asyncgen serve-retrieval data/passages --text body --title heading --index /scratch/passages.index`
    """
    import asyncio

    from asyncgen.cli.output import flush, line
    from asyncgen.embedded.corpus import open_corpus
    from asyncgen.embedded.index_folder import default_folder, open_index
    from asyncgen.embedded.retrieval_server import serve
    from asyncgen.embedded.serving import reserve
    from asyncgen.view.terminal import note

    def say(words: str) -> None:
        line(words)
        flush()

    with reserve(host, port) as sock:
        found = open_index(open_corpus(corpus, text=text, title=title), index or default_folder(corpus), note)
        asyncio.run(serve(found, sock, say, topk=topk, threads=threads, port_file=port_file, watch_stdin=watch_stdin))
    return 0
