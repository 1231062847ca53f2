"""The front end from its sources: what a series changes in it, and whether upstream's own is of upstream's sources."""
