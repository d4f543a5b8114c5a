"""A webcam, in a loop of OpenCV: each picture goes to a service, and what it says is written on it.

    mmer serve                          # in another terminal
    python examples/webcam.py [--camera 0] [--url http://localhost:3000] [--headless]

Needs mmer, and for the window opencv-python (mmer brings the one without windows: then --headless, which prints).
q ends it, n takes the next five seconds as your face at rest.
"""

import argparse
import time
from typing import Any

import cv2

from mmer.client import Client, StreamError

EVERY_S = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--camera", default="0", help="its number, or a film (default: %(default)s)")
    parser.add_argument("--url", default="http://localhost:3000", help="default: %(default)s")
    parser.add_argument("--headless", action="store_true", help="no window")
    given = parser.parse_args()
    camera = cv2.VideoCapture(int(given.camera) if given.camera.isdecimal() else given.camera)
    if not camera.isOpened():
        raise SystemExit(f"camera {given.camera} cannot be opened")
    try:
        with Client(given.url).stream(audio=False) as session:
            loop(camera, session, windows=not given.headless)
    except StreamError as error:
        raise SystemExit(f"{error}") from None
    finally:
        camera.release()


def loop(camera: cv2.VideoCapture, session: Any, *, windows: bool) -> None:
    """Until q is pressed, or the film is over."""
    start, sent, step = time.monotonic(), -EVERY_S, None
    while True:
        there, picture = camera.read()
        now = time.monotonic() - start
        if not there:
            break
        if now - sent >= EVERY_S:
            session.send_frame(cv2.imencode(".jpg", picture)[1].tobytes(), now)
            sent = now
        for message in session.here():
            step = told(message, step)
        if windows:
            draw(picture, step)
            cv2.imshow("mmer", picture)
            key = cv2.waitKey(1)
            if key == ord("q"):
                break
            if key == ord("n"):
                session.calibrate(5)
        else:
            time.sleep(1 / 30)  # a film gives its pictures as fast as they are asked for
    session.bye()
    for message in session:
        step = told(message, step)


def told(message: dict[str, Any], step: dict[str, Any] | None) -> dict[str, Any] | None:
    """Print what is new; the step that is shown."""
    if message["type"] == "error":
        print(f"{message['message']}. {message['hint']}")
    elif message["type"] == "calibration":
        print("calibrated")
    elif message["type"] == "step":
        if step is None or step["label"] != message["label"]:
            print(f"{message['t']:6.1f} s  {message['label'] or 'nothing to go by'}", flush=True)
        return message
    return step


def draw(picture: Any, step: dict[str, Any] | None) -> None:
    """The faces and what they show, on the picture."""
    height, width = picture.shape[:2]
    for person in step["people"] if step else ():
        left, top, right, bottom = (round(v * (width, height)[k % 2]) for k, v in enumerate(person["box"]))
        cv2.rectangle(picture, (left, top), (right, bottom), (255, 255, 255), 2)
        label = person["label"] or "..."
        cv2.putText(picture, label, (left, top - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)


if __name__ == "__main__":
    main()
