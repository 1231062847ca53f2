"""The reviewed files as values: a parser, a type and a writer each."""
