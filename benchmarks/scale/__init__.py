"""How far the project goes as stones, workers, tuners and machines grow, and what that takes, each held to its bar."""
