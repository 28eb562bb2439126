"""Table and Queue Storage: the adapters of the ports that keep things."""
