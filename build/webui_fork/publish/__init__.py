"""A tested digest gets its names, and locks move on between releases."""
