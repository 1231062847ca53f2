"""The patches and their rules."""
