"""A tested digest gets its names."""
