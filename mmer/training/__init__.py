"""One training, from samples to a network."""
