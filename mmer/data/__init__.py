"""From what owners publish to samples: fetch, extract, crop, validate, split."""
