"""What the service is for, from the change that an MDM sends to what Entra ID holds."""
