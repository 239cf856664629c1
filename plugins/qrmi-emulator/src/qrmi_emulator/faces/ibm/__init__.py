"""IBM's APIs, and their common modules: tokens, documents on backends, and reasons of failures."""
