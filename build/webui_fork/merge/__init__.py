"""Three versions of a file in, one verdict out."""
