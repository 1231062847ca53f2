"""From inputs to an image, and its locks."""
