"""Media files to pictures on the grid of steps and voice at 16 kHz, by ffmpeg, with limits.

A file is untrusted: it is opened as a local file and nothing else, only as one of the accepted containers (ffmpeg would
follow a playlist that calls itself .mp4), within limits of size, length, rate, time and memory. Images are read by
Pillow (`mmer.runtime.images`).
"""

from mmer.runtime.media.decoding import decode
from mmer.runtime.media.errors import MediaError
from mmer.runtime.media.kinds import ACCEPTED, IMAGE, SOUND, VIDEO
from mmer.runtime.media.laborious import is_laborious
from mmer.runtime.media.probing import probe
from mmer.runtime.media.types import Decoded, Probe

__all__ = ["ACCEPTED", "IMAGE", "SOUND", "VIDEO", "Decoded", "MediaError", "Probe", "decode", "is_laborious", "probe"]
