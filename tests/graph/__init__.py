"""What Entra ID is told: over msgraph-sdk, to the emulator."""
