"""Where pinned bytes come from."""
