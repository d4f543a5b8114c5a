"""examples/pipecat_emotion.py in a real pipeline; audio, pictures and transcripts are pushed in. Prints what comes out.

python -m tests.service.agents.run_pipecat URL VOICE.wav PICTURE.jpg
"""

import asyncio
import json
import sys
import wave

import cv2
from pipecat.frames.frames import Frame, InputAudioRawFrame, InputImageRawFrame, TranscriptionFrame
from pipecat.tests.utils import SleepFrame, run_test

from examples.pipecat_emotion import EmotionProcessor

PIECE_S = 0.1


async def main(url: str, voice: str, picture: str) -> None:
    """In stereo, at the file's rate; then a transcript, and one more that nothing belongs to."""
    with wave.open(voice) as file:
        rate, channels, pcm = file.getframerate(), file.getnchannels(), file.readframes(file.getnframes())
    rgb = cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB)
    size, piece = (rgb.shape[1], rgb.shape[0]), round(PIECE_S * rate) * 2 * channels
    frames: list[Frame] = [SleepFrame(3.0)]  # the session opens
    pcm += bytes(10 * piece)  # somebody who has spoken is silent for a while
    for begin in range(0, len(pcm), piece):
        frames += [
            InputAudioRawFrame(pcm[begin : begin + piece], rate, channels),
            InputImageRawFrame(rgb.tobytes(), size, "RGB"),
            SleepFrame(PIECE_S),
        ]
    frames += [TranscriptionFrame("What a day!", "user", "now"), SleepFrame(1.0)]
    frames += [TranscriptionFrame("Nothing.", "user", "now")]
    came, _ = await run_test(EmotionProcessor(url, video=True, tell=True), frames_to_send=frames, start_timeout=60)
    for frame in came:
        if isinstance(frame, TranscriptionFrame):
            print(json.dumps({"text": frame.text, "emotion": frame.metadata.get("emotion")}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
