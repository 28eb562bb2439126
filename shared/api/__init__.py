"""The HTTP API: each module takes a request apart, calls a use case or a store, and puts the answer together."""
