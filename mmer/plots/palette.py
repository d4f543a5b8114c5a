"""The colours of all figures."""

from __future__ import annotations

from mmer.labels import EMOTIONS

#: Okabe and Ito's palette, told apart with any colour vision; grey for neutral. web/style.css has shades of the same
#: hues, for its light and its dark theme.
COLOURS = dict(
    zip(EMOTIONS, ("#8a8f98", "#e69f00", "#0072b2", "#d55e00", "#cc79a7", "#009e73", "#56b4e9"), strict=True)
)
BLUE, SKY, ORANGE = "#0072b2", "#56b4e9", "#d55e00"
"""Of the same palette, for what is no emotion."""
INK, GREY, FAINT = "#22262e", "#6b7280", "#d9dce2"
"""For what only frames the data."""
