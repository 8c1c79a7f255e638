"""Commands of `edgevision`: argument parsing only; one file a command."""
