"""The program: keeps Microsoft Entra ID in step with what an MDM says of its devices."""
