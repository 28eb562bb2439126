"""What runs the service on one machine: Functions host, Azurite, Entra ID emulator, sample fleet."""
