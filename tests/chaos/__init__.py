"""Hector under attack: killed, frozen, cut off from its database, out of disk, and counted from outside.

`python -m tests.chaos` (or `make chaos`) runs every scenario and prints what was lost, doubled, stuck or repeated, and
how long recovery took. The same scenarios are tests: a few in the default run, all of them under the mark `chaos`.

- `outside`: a model and a counter of tool effects that no crash of Hector reaches,
- `victim`: the server process, which kills itself at a named point,
- `facts`, `rules`: what the database holds afterwards, and what must be true of it,
- the modules with scenarios; `catalog` lists them.
"""
