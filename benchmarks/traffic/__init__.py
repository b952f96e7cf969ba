"""Whether the traffic log keeps its promises, under load and when things fail, and what it costs."""
