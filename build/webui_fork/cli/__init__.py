"""One file a verb, its parser included; `main` calls them and maps errors to exit codes."""
