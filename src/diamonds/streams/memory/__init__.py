"""What is remembered of a feed: rows, cursor, state and figures, in one transaction."""
