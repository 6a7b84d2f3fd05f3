"""Media that came in."""

from assets.models.asset import Asset, AssetKind, AssetStatus

__all__ = ["Asset", "AssetKind", "AssetStatus"]
