// npm's @vladmandic/human and @vladmandic/face-api at work in Node, in the folder of an environment of their own.
//
// Answers each line, {"clip": …, "seconds": …}, with CPU ms a second of input: the clip is an .npy file of pictures,
// uint8 [n, H, W, 3] RGB, of which five are a second. Tensors are computed by TensorFlow.js's WASM backend, with SIMD,
// on one thread.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const STEP_MS = 200;
const [kind, home] = process.argv.slice(2);
const require = createRequire(join(home, "package.json"));
const packages = join(home, "node_modules");

// Time goes on by a step with each picture, as in front of a camera: human uses an answer again for some time.
let clock = 0;
performance.now = () => clock;
globalThis.fetch = async (url) => new Response(readFileSync(String(url).replace("file://", "")));
console.log = console.error; // standard output is for answers

const tf = require("@tensorflow/tfjs");
const wasm = require("@tensorflow/tfjs-backend-wasm");
const wasmPath = join(packages, "@tensorflow/tfjs-backend-wasm/dist/");
wasm.setWasmPaths(wasmPath);
wasm.setThreadsCount(1);
await tf.setBackend("wasm");

/** What of a package is used: its name, and the names of its models' files. */
function about(name, folder, models) {
  const { version, license } = require(join(packages, name, "package.json"));
  const size = (model) => readFileSync(join(packages, name, folder, model)).length;
  return { version, licence: license, bytes: models.map(size).reduce((a, b) => a + b) };
}

/** human with all but what an emotion takes turned off: a face's box, its mesh, which cuts it out upright, its emotion. */
async function human(again) {
  const name = "@vladmandic/human";
  const { Human } = require(join(packages, name, "dist/human.node-wasm.js")); // not among its exports
  const off = { enabled: false };
  const anew = again ? {} : { skipFrames: 0, skipTime: 0 };
  const recognizer = new Human({
    backend: "wasm",
    wasmPath,
    modelBasePath: `file://${join(packages, name, "models")}/`,
    cacheSensitivity: again ? 0.7 : 0,
    face: { iris: off, description: off, detector: anew, emotion: anew },
    body: off,
    hand: off,
    gesture: off,
  });
  await recognizer.load();
  return {
    about: about(name, "models", ["blazeface.bin", "facemesh.bin", "emotion.bin"]),
    says: async (picture) => (await recognizer.detect(picture)).face[0]?.emotion?.length > 0,
  };
}

/** face-api: the largest face by one of its two detectors, cut out as its box is, and its expression. */
async function faceApi(detector, net, options) {
  const name = "@vladmandic/face-api";
  const faceapi = require(join(packages, name, "dist/face-api.node-wasm.js"));
  for (const each of [net, "faceExpressionNet"]) await faceapi.nets[each].loadFromDisk(join(packages, name, "model"));
  return {
    about: about(name, "model", [`${detector}_model.bin`, "face_expression_model.bin"]),
    says: async (picture) =>
      Boolean(await faceapi.detectSingleFace(picture, new faceapi[options]()).withFaceExpressions()),
  };
}

const kinds = {
  human: () => human(true),
  "human, each anew": () => human(false),
  "face-api, tiny": () => faceApi("tiny_face_detector", "tinyFaceDetector", "TinyFaceDetectorOptions"),
  "face-api, SSD": () => faceApi("ssd_mobilenetv1", "ssdMobilenetv1", "SsdMobilenetv1Options"),
};
const peer = await kinds[kind]();

/** The pictures of an .npy file, each as its bytes, and their shape. */
function pictures(path) {
  const file = readFileSync(path);
  const start = 10 + file.readUInt16LE(8);
  const [count, ...shape] = file.toString("latin1", 10, start).match(/\(([\d, ]+)\)/)[1].split(",").map(Number);
  const size = shape.reduce((a, b) => a * b);
  return [shape, Array.from({ length: count }, (_, k) => file.subarray(start + k * size, start + (k + 1) * size))];
}

for await (const line of createInterface({ input: process.stdin })) {
  const { clip, seconds } = JSON.parse(line);
  const [shape, frames] = pictures(clip);
  const count = Math.round((1000 * seconds) / STEP_MS);
  let found = 0;
  const start = process.cpuUsage();
  for (let k = 0; k < count; k++) {
    clock += STEP_MS;
    const picture = tf.tensor3d(frames[k % frames.length], shape, "int32");
    found += Number(await peer.says(picture));
    picture.dispose();
  }
  const { user, system } = process.cpuUsage(start);
  process.stdout.write(`${JSON.stringify({ ms: (user + system) / 1000 / seconds, found: found / count, about: peer.about })}\n`);
}
