"""The commands that look at runs, and their help: `status`, `show`, `stats`, `ls`, `sql`, `export`.

Knows arguments. Each loads what it needs when it is called: `--help` reads this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Json = Annotated[bool, Parameter(negative=(), help="Figures as JSON on stdout.")]
FILES = Parameter(help="Run directories, or folders of trace_*.json.")
Files = Annotated[list[Path], FILES]
TO_HELP = (
    "jsonl (one file, a line a trace), verl-sft (one parquet file, a row an accepted trace, for finetuning), "
    "trace-json (one file a trace, for other programs), chunks (solutions of the math job, MODEL_chunk_000.json), "
    "critique-sft (accepted critiques: instruction, input, output) or verl-rl (the critique job's rows as parquet). "
    "All but trace-json, and a run directory itself, load with datasets.load_dataset."
)


def status(directory: Path, /, *, json: Json = False) -> int:
    """Counts, rate, time left and failures by reason, of a run that is going or over.

    Example:
    `asyncgen status runs/geo`
    """
    from asyncgen.cli.read import print_status

    return print_status(directory, as_json=json)


def show(
    directory: Path,
    id: str = "",  # noqa: A002  # the argument's name in the help
    /,
    *,
    rollout: Annotated[
        int | None, Parameter(help="Which attempt, where ID is a row number; without ID the first of that number.")
    ] = None,
    turn: Annotated[int | None, Parameter(help="Only this turn, from 1.")] = None,
    raw: Annotated[
        bool, Parameter(negative=(), help="Responses as received, thinking tags and calls included.")
    ] = False,
    rollouts: Annotated[bool, Parameter(negative=(), help="All attempts at this row, side by side.")] = False,
    images: Annotated[
        Path | None, Parameter(help="Write its pictures into this folder, as PNG, with the boxes of its zooms.")
    ] = None,
    dataset_path: Annotated[Path | None, Parameter(help="Where the dataset is now; with --images.")] = None,
    json: Json = False,
) -> int:
    """One trace as a conversation: thinking, calls, results, score. ID is a trace's id or a row number; without one,
    the first trace that was stored.

    Examples:
    `asyncgen show runs/geo`
    `asyncgen show runs/geo 42 --rollouts`
    `asyncgen show runs/geo-tools geo-tools/42/0 --turn 2 --raw`
    `asyncgen show runs/geo-tools 42 --images pictures`
    """
    from asyncgen.cli.showing import Wanted, show_trace

    wanted = Wanted(
        rollout=rollout,
        rollouts=rollouts,
        turn=turn,
        raw=raw,
        images=images,
        dataset_path=dataset_path,
        json=json,
    )
    return show_trace(directory, id, wanted)


def stats(
    directories: Files,
    /,
    *,
    by: Annotated[str | None, Parameter(help="Also by the values of this column, e.g. country or meta.stop.")] = None,
    where: Annotated[str | None, Parameter(help="Only traces for which this SQL is true.")] = None,
    difficulty: Annotated[
        str, Parameter(help="The column with the difficulty, from 0 (hardest) to 1.")
    ] = "locatability_score",
    bands: Annotated[str | None, Parameter(help="Edges of its bands, with commas between; default: 0.3,0.6.")] = None,
    json: Json = False,
    markdown: Annotated[bool, Parameter(negative=(), help="Tables for a report.")] = False,
    plots: Annotated[Path | None, Parameter(help="A folder for charts and a map; older ones are replaced.")] = None,
    plot_format: Annotated[str, Parameter(name="--format", help="Of the plots: png or svg.")] = "png",
) -> int:
    """Turns, tokens, parse rate, scores, distances, tool use: over all, by difficulty, with and without tools, kept
    against lost; several runs side by side.

    Examples:
    `asyncgen stats runs/geo`
    `asyncgen stats runs/geo runs/geo-tools --by country --where 'lat > 0'`
    `asyncgen stats runs/geo --difficulty locatability_score --bands 0.2,0.4,0.6`
    `asyncgen stats runs/geo-tools --markdown --plots plots > report.md`
    """
    from asyncgen.cli.figures import Wanted, print_stats

    wanted = Wanted(
        by=by,
        where=where,
        difficulty=difficulty,
        bands=bands,
        json=json,
        markdown=markdown,
        plots=plots,
        plot_format=plot_format,
    )
    return print_stats(directories, wanted)


def ls(
    directory: Path,
    /,
    *,
    where: Annotated[str | None, Parameter(help="Only traces for which this SQL is true.")] = None,
    sort: Annotated[
        str | None,
        Parameter(help="A column: score, -tokens, 'country desc'; default: as stored.", allow_leading_hyphen=True),
    ] = None,
    columns: Annotated[str | None, Parameter(help="Further columns, with commas between: country,data.lat.")] = None,
    limit: Annotated[int, Parameter(help="How many; 0 for all.")] = 50,
    failed: Annotated[bool, Parameter(negative=(), help="The failed episodes instead.")] = False,
    json: Json = False,
) -> int:
    """A line a trace: answer beside truth, score, turns, tokens, tool calls, how it ended.

    In SQL a bare name is a score, a key of the metadata, or a column of the dataset; reward., meta., data. before it
    say which.

    Examples:
    `asyncgen ls runs/geo --where 'parse_success and "distance@km" < 25' --sort -score`
    `asyncgen ls runs/geo --sort distance@km --columns country,locatability_score --limit 10`
    `asyncgen ls runs/geo --failed --limit 0`
    """
    from asyncgen.cli.table import Wanted, print_list

    wanted = Wanted(where=where or "", sort=sort or "", columns=columns or "", limit=limit, failed=failed, json=json)
    return print_list(directory, wanted)


def sql(
    directory: Path,
    query: str,
    /,
    *,
    json: Json = False,
    csv: Annotated[bool, Parameter(negative=(), help="As CSV on stdout.")] = False,
) -> int:
    """One SQL query (DuckDB, read only) over all traces: the tables traces, turns, calls and failed.

    `DESCRIBE traces` names the columns.

    Examples:
    `asyncgen sql runs/geo "select country, count(*), avg(score) from traces group by all order by 2 desc"`
    `asyncgen sql runs/geo-tools "select name, avg(success::int) from calls group by name" --json`
    `asyncgen sql runs/geo "select reason, count(*) from failed group by reason"`
    """
    from asyncgen.cli.table import print_answer

    return print_answer(directory, query, as_json=json, as_csv=csv)


def export(
    directories: Files,
    /,
    *,
    to: Annotated[str, Parameter(help=TO_HELP)],
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="A folder, or a file *.jsonl, *.parquet.")],
    where: Annotated[str | None, Parameter(help="SQL over a trace, e.g. 'parse_success and score > 0.3'.")] = None,
    chunk_size: Annotated[int, Parameter(help="Chunks: rows of the dataset in each.")] = 1000,
    partial: Annotated[bool, Parameter(negative=(), help="Chunks: also those that lack solutions.")] = False,
    json: Json = False,
) -> int:
    """Write traces in another format.

    Examples:
    `asyncgen export runs/geo --to trace-json -o traces`
    `asyncgen export runs/geo --to jsonl --where 'score > 0.5' -o good.jsonl`
    `asyncgen export runs/math --to chunks -o solutions_qwen25`
    `asyncgen export runs/search --to verl-sft -o train.parquet`
    """
    if to == "chunks":
        from asyncgen.cli.maths_said import export_chunks

        return export_chunks(directories, output, size=chunk_size, partial=partial, where=where, as_json=json)
    from asyncgen.cli.read import export_traces

    return export_traces(directories, to=to, output=output, where=where, as_json=json)
