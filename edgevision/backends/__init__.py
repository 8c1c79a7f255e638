"""Runtimes behind one Session protocol: one file a runtime, each imported only when it is used."""
