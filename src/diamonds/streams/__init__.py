"""Learning from a paginated feed that never ends: batch by batch, every step persisted, watched and steered."""
