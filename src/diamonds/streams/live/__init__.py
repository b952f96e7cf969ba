"""The live page of a stream: what is learned at this moment, and the means to steer it."""

from diamonds.streams.live.app import make_app

__all__ = ["make_app"]
