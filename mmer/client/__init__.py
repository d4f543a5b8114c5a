"""Clients of a running service: files and live sessions, and what plays a clip or a camera to it."""

from mmer.client.sdk import AsyncClient, BlockingSession, Client, RefusedError
from mmer.client.stream import LostError, Session, StreamError

__all__ = ["AsyncClient", "BlockingSession", "Client", "LostError", "RefusedError", "Session", "StreamError"]
