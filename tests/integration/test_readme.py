"""Everything in the README is run: its commands, its task file, its job file, its table of promises' flags."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import datasets
import pytest
from support.server import MODEL, ThreadedServer, text, tool_calls
from support.source_data import jpeg

import asyncgen
from asyncgen.core.errors import AsyncgenError
from asyncgen.embedded.demo import vision_server
from asyncgen.embedded.tiles import make_tiles
from asyncgen.endpoint.limiter import AUTO_START
from asyncgen.engine.driver import CRASH_LIMIT, REFUSED_LIMIT
from asyncgen.runs.execute import FAILED_TOO_OFTEN
from asyncgen.store.sink import Limits

README = (Path(asyncgen.__file__).parent.parent / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def blocks(language: str) -> list[str]:
    return [body for name, body in BLOCKS if name == language]


def block_with(key: str) -> str:
    """The YAML that has this key."""
    (found,) = [body for body in blocks("yaml") if re.search(f"^{key}", body, re.MULTILINE)]
    return found


def script(body, number):
    asked = sum(message["role"] == "assistant" for message in body["messages"])
    question = str(body["messages"][-1]["content"])
    if "first-level" in question:
        return text("<think>Cafés.</think><answer>$France,Île-de-France$</answer>")
    if "Student's solution:" in question:
        return text("It adds up. Conclusion: right [END]")
    if "What is 1 + " in question:
        return text(f"It is \\boxed{{{number % 3}}}.")
    if asked == 0 and any(tool["function"]["name"] == "search" for tool in body.get("tools", ())):
        return tool_calls(("search", {"query_list": ["capital of France"]}))
    if asked == 0 and any(tool["function"]["name"] == "population" for tool in body.get("tools", ())):
        return tool_calls(("population", {"name": "Paris"}))
    return text("<answer>Paris</answer> \\boxed{48.85, 2.35}")


def photos(rows: int = 5) -> datasets.Dataset:
    """What the geo jobs and the README's own task want."""
    datasets.disable_progress_bars()
    return datasets.Dataset.from_dict(
        {
            "image": [{"bytes": jpeg(row), "path": None} for row in range(rows)],
            "lat": [48.0 + row for row in range(rows)],
            "lon": [2.0 + row for row in range(rows)],
            "locatability_score": [row / rows for row in range(rows)],
            "city": ["Paris", "Rome"] * (rows // 2) + ["Paris"] * (rows % 2),
            "country": ["france", "italy"] * (rows // 2) + ["france"] * (rows % 2),
        },
        features=datasets.Features(
            {
                "image": datasets.Image(),
                **dict.fromkeys(("lat", "lon", "locatability_score"), datasets.Value("float64")),
                **dict.fromkeys(("city", "country"), datasets.Value("string")),
            }
        ),
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working directory with the dataset that the README speaks of, and the files that it tells to save."""
    folder = tmp_path_factory.mktemp("readme")
    photos().save_to_disk(folder / "photos")
    (city,) = [body for body in blocks("python") if "class City" in body]
    (folder / "city.py").write_text(city, "utf-8")
    with ThreadedServer(script) as server:
        (folder / "city.yaml").write_text(at(block_with("task:"), server), "utf-8")
        passages = [
            {"title": "Paris", "text": "Paris is the capital of France."},
            {"title": "Rome", "text": "In Italy."},
        ]
        questions = [{"question": "What is the capital of France?", "answer": "Paris"}]
        (folder / "passages.jsonl").write_text("\n".join(map(json.dumps, passages)), "utf-8")
        (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, questions)), "utf-8")
        (folder / "pipeline.yaml").write_text(at(block_with("models:"), server), "utf-8")
        problems = [{"question": f"What is 1 + {row}?", "answer": str(row + 1)} for row in range(2)]
        seekworld(folder)
        (folder / "deepscaler_train.json").write_text(json.dumps(problems), "utf-8")
        with retrieval_server(folder):
            yield folder, server


def seekworld(folder: Path) -> None:
    """Rows with a chat of their own, whose images lie in a folder of their own."""
    (folder / "photos_of_seekworld").mkdir()
    rows = []
    for number in range(2):
        (folder / "photos_of_seekworld" / f"{number}.jpg").write_bytes(jpeg(number))
        asked = {"type": "text", "text": f"Which country and first-level division is photo {number}?"}
        chat = [{"role": "user", "content": [{"type": "image", "image": f"/train/{number}.jpg"}, asked]}]
        rows.append({"message": json.dumps(chat), "answer": "france,ile de france/idf", "country": "france"})
    (folder / "seekworld.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")


@contextmanager
def retrieval_server(folder: Path):
    """The line of the README, but for its port, which `at` puts into the other lines."""
    (line,) = [one.split("#")[0] for _, body in BLOCKS for one in body.splitlines() if "serve-retrieval" in one]
    words = [sys.executable, "-m", *shlex.split(line.replace("8001", "0")), "--watch-stdin"]  # ends with us
    with subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            ready = re.search(r":(\d+)/retrieve: 2 passages", child.stdout.readline())
            assert ready
            PORTS["8001"] = ready[1]
            yield
        finally:
            child.terminate()
        assert child.wait(20) == 0


PORTS: dict[str, str] = {}


def at(text_: str, server) -> str:
    for port, real in PORTS.items():
        text_ = text_.replace(f":{port}/retrieve", f":{real}/retrieve")
    for model in ("qwen-2.5-math-7b", "qwen3-4b-base"):
        text_ = text_.replace(f"model {model}", f"model {MODEL}").replace(f"model: {model}", f"model: {MODEL}")
    return text_.replace("http://127.0.0.1:8000/v1", server.base_url)


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", *shlex.split(line)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands_of_the_readme_run_in_their_order(place):
    folder, server = place
    lines = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("asyncgen ")]
    assert len(lines) >= 9
    for line in lines:
        done = run(at(line, server), folder)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert len(list((folder / "traces").glob("trace_*.json"))) > 0


def test_the_other_commands_are_targets_of_the_makefile():
    makefile = (Path(asyncgen.__file__).parent.parent / "Makefile").read_text("utf-8")
    others = [
        line.split("#")[0].split()
        for block in blocks("bash")
        for line in block.splitlines()
        if not line.startswith("asyncgen ")
    ]
    assert others == [["make", "demo"], ["make", "test"], ["pip", "install", "."]]
    assert re.search(r"^demo:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)


def test_every_flag_that_the_readme_names_is_in_the_help(place):
    folder, _ = place
    help_text = run("asyncgen run geo-tools --help", folder).stdout + run("asyncgen export --help", folder).stdout
    help_text += (
        run("asyncgen run ./city.yaml --help", folder).stdout + run("asyncgen run search --help", folder).stdout
    )
    others = (
        "init",
        "serve-retrieval",
        "show",
        "stats",
        "ls",
        "verify",
        "ctl",
        "rescore runs/region",
        "run math",
        "run region",
    )
    for name in (*others, "merge", "filter-mixed", "critique-set", "critique-format", "fleet commands math"):
        help_text += run(f"asyncgen {name} --help", folder).stdout
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z._-]+[a-z]", README)) - {"--help", "--no-deps"}  # the latter is pip's
    assert {"--num-samples", "--task.spelling", "--partition"} <= flags
    assert {flag for flag in flags if flag.replace("_", "-") not in help_text} == set()


def test_the_numbers_of_the_readme_are_those_of_the_code():
    text_of_it, limits = " ".join(README.split()), Limits()
    assert f"(`auto`) {AUTO_START} requests are open at once" in text_of_it
    assert (
        f"only for {REFUSED_LIMIT} refused requests before the first trace, "
        f"or {CRASH_LIMIT} internal errors or tool crashes in a row" in text_of_it
    )
    assert (
        f"once a shard is sealed ({limits.shard_traces:,} traces, {limits.shard_seconds / 60:g} minutes" in text_of_it
    )
    codes = re.search(r"Exit codes: (.*?)\.", text_of_it)
    assert codes is not None
    named = {int(code) for code in re.findall(r"(?:^|· )(\d+)", codes[1])}
    assert named == {0, FAILED_TOO_OFTEN, 129} | {error.exit_code for error in errors()}


def errors() -> list[type[AsyncgenError]]:
    found = [AsyncgenError]
    for one in found:
        found += one.__subclasses__()
    return found


def test_the_python_of_the_readme_runs(place):
    folder, server = place
    (body,) = [body for body in blocks("python") if "asyncgen.stream" in body]
    code = at(body, server) + "\nimport asyncio\nasyncio.run(main())\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("geo/") == 5


def test_the_line_that_steers_a_run_is_a_command(place):
    folder, _ = place
    (line,) = [
        one
        for _, body in BLOCKS
        for one in body.splitlines()
        if one.startswith("asyncgen ctl runs/geo-tools set ") and "#" in one
    ]
    done = run(line.split("#")[0], folder)
    assert done.returncode == 2, done.stderr
    assert "no run is going" in done.stderr


def test_the_selections_of_the_table_run(place, tmp_path):
    folder, server = place
    row_flags = re.findall(r"^\| [^|]+ \| `(--[^|]+)` \|$", README, re.MULTILINE)
    cells = [cell for row in row_flags for cell in row.split("` · `")]
    cells = [cell for cell in cells if not cell.startswith(("--partition", "--SECTION", "--retry", "--reuse"))]
    assert len(cells) >= 5
    temperatures = [cell for cell in cells if "temperatures" in cell]
    for number, cell in enumerate([cell for cell in cells if cell not in temperatures]):
        extra = temperatures[0] if "--rollouts" in cell else ""
        line = (
            f"asyncgen run geo --dataset-path photos --base-url {server.base_url} "
            f"--output-dir {tmp_path / str(number)} {cell} {extra}"
        )
        done = run(line, folder)
        assert done.returncode == 0, (line, done.stderr)


def test_the_trace_in_the_readme_is_the_demos_own(tmp_path):
    (sample,) = [body for name, body in BLOCKS if not name and body.startswith("geo-tools/9/0")]
    make_tiles(tmp_path / "tiles", 10)
    with vision_server() as base_url:
        line = (
            f"asyncgen run geo-tools --dataset-path tiles --base-url {base_url} "
            "--num-samples -1 --where 'lat between 10.5 and 10.6'"
        )
        assert run(line, tmp_path).returncode == 0
    shown = [without_digits(one) for one in run("asyncgen show runs/geo-tools 9", tmp_path).stdout.splitlines()]
    at_line = 0
    for one in sample.splitlines():
        wanted = without_digits(one.removesuffix("…"))
        if wanted:
            at_line = next(at for at in range(at_line, len(shown)) if shown[at].startswith(wanted)) + 1


def without_digits(line: str) -> str:
    """The last digits of a match may differ between machines."""
    return re.sub(r"[0-9]+", "0", line)


def test_the_pipeline_of_the_readme_leaves_what_is_there_and_makes_the_rest(place):
    folder, server = place
    (line,) = re.findall(r"`(asyncgen pipeline [^`]+)`", README)
    own = folder / "whole"
    own.mkdir()
    for name in ("pipeline.yaml", "deepscaler_train.json"):
        shutil.copy(folder / name, own)
    done = run(line, own)
    assert done.returncode == 0, done.stderr
    asked = len(server.requests)
    rows = json.loads((own / "deepscaler_critique_formatted.json").read_bytes())
    assert {row["answer"] for row in rows} == {"right", "wrong"}
    (own / "deepscaler_critique.json").unlink()
    assert run(line, own).returncode == 0
    assert json.loads((own / "deepscaler_critique_formatted.json").read_bytes()) == rows
    assert len(server.requests) == asked


def test_the_reward_service_of_the_readme_scores(place):
    folder, _ = place
    (line,) = [one.split("#")[0] for _, body in BLOCKS for one in body.splitlines() if "serve-reward" in one]
    words = [sys.executable, "-m", *shlex.split(line.replace("8002", "0"))]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            ready = re.search(r"http://127.0.0.1:\d+", child.stdout.readline())
            assert ready
            prompt = json.loads((folder / "seekworld.jsonl").read_text().splitlines()[0])["message"]
            said = ["<think>a</think><answer>$france,ile-de-france$</answer>", "<answer>$france,brittany$</answer>"]
            body = json.dumps({"query": said, "prompts": [prompt] * 2}).encode()
            asked = urllib.request.Request(f"{ready[0]}/get_reward", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(asked, timeout=60) as reply:
                found = json.load(reply)
        finally:
            child.terminate()
        child.wait(20)
    assert (found["rewards"], found["format_rewards"], found["acc_rewards"]) == ([1.0, 0.0], [0.5, 0.0], [1.0, 0.0])


def test_the_line_for_a_fleet_prints_commands(place):
    folder, _ = place
    (line,) = re.findall(r"`(asyncgen fleet commands [^`]+)`", README.replace("\n", " "))
    done = run(line, folder)
    assert done.returncode == 0, done.stderr
    assert "--chunk-id 0 --dataset.path deepscaler_train.json  # gpu 0" in done.stdout


def test_the_python_line_for_pictures_works(place):
    folder, server = place
    out = folder / "runs" / "pictures"
    line = f"asyncgen run geo --dataset-path photos --base-url {server.base_url} --output-dir {shlex.quote(str(out))}"
    assert run(line, folder).returncode == 0
    code = (
        "import asyncgen, datasets, json, pathlib;"
        f"trace = json.loads(next(pathlib.Path({str(out)!r}).glob('traces/*.jsonl')).open().readline());"
        "print(asyncgen.restore_images(trace)[0].size)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("("), done.stderr
    shutil.rmtree(out)
