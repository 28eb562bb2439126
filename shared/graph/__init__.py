"""Microsoft Graph: the adapter that tells Entra ID."""
