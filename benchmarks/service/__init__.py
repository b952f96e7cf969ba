"""How the service answers under load, beside a bare ASGI app and a stock BentoML service on the same machine."""
