"""Attacks on the service, which must stand them all (docs/serving.md): `python -m attacks.hostile`.

`files`: files that no honest client would send, the same for the same seed; a test sends a selection. `hostile`:
thousands of these, of requests that lie and of broken streams, against the real service. `killed`: a worker of the
service is killed under load. Run from the repository.
"""
