"""The adapters of Table and Queue Storage, on a real Azurite."""
