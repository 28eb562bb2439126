"""A Functions host for one machine: Microsoft's worker runtime, our host.

Indexing, binding conversion and invocation are those of `azure-functions-runtime`, the library that Azure's own Python
worker runs. HTTP, timers, queue polling and the admin API around it are ours and follow the real host's documented
behaviour. Absent of the real host: stored keys, scaling, singleton leases, function time-outs, retry policies, and all
bindings but HTTP, queue and timer triggers. So this is no test on Azure Functions.

Run it with `python -m local.host --app FOLDER --port 7071`.
"""
