"""One module for each MDM's dialect: bytes that came over HTTP into ``DeviceChange``s."""
