"""What is accepted: containers, and how the names of files usually end."""

from __future__ import annotations

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,mpeg,mpegts,flac,wav,mp3,ogg,aac,amr,aiff,caf,au"
"""What ffmpeg may open, in its own names."""

VIDEO = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".flv", ".wmv", ".mpg", ".mpeg", ".ts", ".3gp")
SOUND = (
    ".wav",
    ".mp3",
    ".m4a",
    ".aac",
    ".ogg",
    ".oga",
    ".opus",
    ".flac",
    ".amr",
    ".aif",
    ".aiff",
    ".caf",
    ".wma",
    ".au",
)
IMAGE = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif")
"""How the names of what is read usually end. What is in a file decides, not its name."""

ACCEPTED = "; ".join(
    f"{kind}: {' '.join(suffix[1:] for suffix in suffixes)}"
    for kind, suffixes in (("video", VIDEO), ("sound", SOUND), ("image", IMAGE))
)

EBML = b"\x1aE\xdf\xa3"
"""With which a Matroska or WebM file begins."""
