"""A stream as it runs: read, learned, watched and steered."""
