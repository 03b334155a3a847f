"""The composition root: config → source, task, pool, store, scheduler → one run.

`jobs` resolves a job, `tasks` finds its task class, `recipe` looks at how it is put together, `shape` says what makes
traces alike, `prepare` does everything before the first request, `execute` runs; `reading` reads a run directory,
`restore` gives a trace's pictures back. (Not `run`: that is the function of the public API.)
"""
