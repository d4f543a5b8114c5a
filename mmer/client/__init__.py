"""Clients of a running service: the stream protocol, and what plays a clip or a camera to it."""
