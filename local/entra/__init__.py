"""An Entra ID tenant on loopback: the part of Microsoft Graph v1.0 about devices, and the tokens to call it with.

Outside facts come from Microsoft's public pages "Update device", "List devices", "Combine multiple HTTP requests using
JSON batching", "Microsoft Graph throttling guidance", "Microsoft Graph service-specific throttling limits" and "How to
use managed identities for App Service". Where those leave a text or an order open, the choice is ours and says so.

Not included: users, groups, $filter beyond `deviceId eq '…'`, $count, $orderby, $expand, delta queries, creating
devices, signatures on tokens, and the minutes that a change takes to reach every replica of the real directory.
"""
