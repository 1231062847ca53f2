"""Who made an image, of what, and whether that is so."""
