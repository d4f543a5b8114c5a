"""What keeps the repository's own lists: written by these commands, held by tests."""
