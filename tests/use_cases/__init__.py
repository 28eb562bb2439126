"""The use cases over ports in memory, where every interleaving can be had at will."""
