"""How far the project goes as stones grow: what is taken of time and memory."""
