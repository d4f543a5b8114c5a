// The client for pages, this one and others (docs/clients.md). Whatever service it is imported from, it speaks with.
//
//   import { Camera, Connection, Microphone, predict } from "https://emotions.example/client.js";
//
//   const { label, utterances } = await predict(file, AbortSignal.timeout(60_000));
//
//   const connection = new Connection({ video: true, audio: true }, {
//     ready: () => {},
//     step: ({ t, label, probabilities }) => {},      // five a second
//     utterance: ({ type, start, end, label }) => {}, // whenever somebody spoke
//     trouble: ({ message, hint }) => {},
//     lost: (seconds) => {},                          // it comes back by itself, in so many
//   });
//   const tracks = (await navigator.mediaDevices.getUserMedia({ video: true, audio: true })).getTracks();
//   new Camera(tracks.find(({ kind }) => kind === "video"), video, connection.takes, (jpeg, at) => connection.sendPicture(jpeg, at));
//   new Microphone(tracks.find(({ kind }) => kind === "audio"), (pcm, at) => connection.sendVoice(pcm, at), console.warn);
export { Refused, modelInfo, predict } from "./api.js";
export { Camera } from "./camera.js";
export { Connection } from "./connection.js";
export { Microphone } from "./microphone.js";
