"""A network as C99 that compiles anywhere, and the proof that it answers as calibkit does."""
