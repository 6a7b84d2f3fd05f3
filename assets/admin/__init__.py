"""Assets in the admin."""

from assets.admin.assets import AssetAdmin

__all__ = ["AssetAdmin"]
