"""The process in which llama.cpp runs: its threads, its memory and its crashes are nobody else's.

Knows the parameters of the `xllamacpp` package's server. Ends when its stdin does, or at SIGTERM. Does not know who
started it, where the model file comes from, nor what is done with its errors.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from asyncgen.core.types import Json
from asyncgen.embedded.child import announce

ERRORS, EVERYTHING = 1, 4
"""How much llama.cpp writes to stderr."""
CACHE_MIB = 256
"""For prompts of earlier conversations; llama.cpp would take 8 GiB."""


def serve(options: Mapping[str, Json]) -> None:
    """Load the model, announce the port, and serve until stdin ends. Exits with 1 when the model cannot be loaded."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = options["model"]
    parameters.model_alias = {options["alias"]}
    parameters.hostnames = [options["host"]]
    parameters.port = options["port"]
    parameters.n_parallel = options["slots"]
    parameters.n_ctx = options["slots"] * options["context"]  # llama.cpp's is the sum over all slots
    parameters.cpuparams.n_threads = options["threads"]
    parameters.cpuparams.poll = 0  # busy waiting takes the processor from those it waits for
    parameters.cache_ram_mib = CACHE_MIB
    parameters.endpoint_metrics = True
    parameters.verbosity = EVERYTHING if options["verbose"] else ERRORS
    try:
        server = xllamacpp.Server(parameters)  # returns when the model is loaded and the port is open
    except RuntimeError:
        sys.exit("the model cannot be loaded: see the lines before")
    announce(Path(options["port_file"]), urlsplit(server.listening_address).port or 0)
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)  # nothing to save, and the C++ threads end no sooner for being asked


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
