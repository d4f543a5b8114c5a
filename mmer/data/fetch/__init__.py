"""Getting files: over HTTP, out of archives, a corpus whole."""
