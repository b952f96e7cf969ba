"""The BentoML service: what is asked over HTTP, answered by the champion and logged."""
