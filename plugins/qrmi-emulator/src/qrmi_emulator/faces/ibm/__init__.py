"""IBM's APIs, and what they share: tokens, documents on backends, and reasons of failures."""
