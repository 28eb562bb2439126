"""The Entra ID emulator, over HTTP and with the SDKs of Microsoft."""
