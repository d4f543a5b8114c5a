"""The demo corpus is drawn here: short clips of talking heads that nobody had to be recorded for.

Faces are shaded ellipsoids, voices are formant synthesis. The corpus is for trying, testing and teaching the pipeline
on one small download; it is no evidence about people.

It is made to need fusion. Each emotion has one of five faces and one of five voices (`expressions.GROUPS`): fear and
surprise share a face, as do sad and disgust; angry and disgust share a voice, as do happy and surprise. The pair always
tells the emotion, either half alone five of seven at best. The room behind the speaker is a weak cue. In one clip of
fourteen the face is hidden for a large part or all of it, in another one there is no voice. Where two emotions share a
face or a voice, that is the task, not a finding.

The way of a clip: `trials` decides who (`speakers`) shows what (`expressions`) where (`room`); `speech` lays out what
is said; `frames` draws it (`person`, `face` on a `head`, with the shapes of `canvas`) and `voice` sounds it; `corpus`
writes all clips and their ground truth. `mmer.data.corpora.demo` reads the result and needs nothing of this package:
the drawing may change without the pipeline having to prepare again what is already drawn.
"""

from __future__ import annotations
