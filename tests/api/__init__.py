"""Every route, through HTTP, the Functions runtime, Azurite and the Entra ID emulator."""
