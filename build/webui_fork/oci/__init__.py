"""An image as a value, and the places where it can live."""
