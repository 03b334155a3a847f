"""The composition root: config → source, task, pool, store, scheduler → one run.

`tasks` finds the task class, `recipe` looks at how it is put together, `shape` says what makes traces alike, `prepare`
does everything before the first request, `execute` runs, `restore` gives a trace's pictures back.
"""
