"""Accuracy, measured outside the pipeline on real data: `python -m studies.peers FER2013`. Run from the repository.

`peers`: packages that ship their weights, and our model, on the same faces; its figures are `peers.json`, which
docs/measurements/results.md shows. `faces` and `channels`: what faces and voices come to outside the studio.
`tracking`: how good the tracker's boxes are. `framing`: how a live face must be cropped.
"""
