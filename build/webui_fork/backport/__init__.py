"""What was changed elsewhere, as patches: a newer release's fix on an older line, a fork as a series."""
