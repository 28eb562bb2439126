"""A directory that writes nothing: it has no connection to write with. Implements ``Directory``."""

from shared.fold import Desired
from shared.graph.channels import writes_for
from shared.model import Verdict
from shared.ports import Told
from shared.settings import Settings


class DryRunDirectory:
    """Says what Entra ID would be told."""

    writes = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def tell(self, desired: Desired) -> Told:
        """Return what would be told. Raises ``ReportError`` if there is no channel for the platform."""
        if desired.verdict is Verdict.REMOVED:
            return Told("delete", "Dry run: the device would be deleted from Entra ID")
        channel = "+".join(write.channel for write in writes_for(desired, self._settings))
        return Told(channel, f"Dry run: Entra ID would be told: {desired.verdict}, by {channel}")
