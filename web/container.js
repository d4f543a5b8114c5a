// Which tracks a file holds, whether or not this browser can decode them: of MP4, MOV, WebM and Matroska.

const MOST = 2 ** 24; // bytes that are read of a file's index
const EBML = 0x1a45dfa3;
const TRACKS = [0x16, 0x54, 0xae, 0x6b];
const TRACK_TYPE = [0x83, 0x81];

/** @typedef {{picture: boolean, sound: boolean}} Tracks */

/** @param {File} file @returns {Promise<Tracks>} neither of another kind of file */
export async function listTracks(file) {
  const head = await part(file, 0, 16);
  if (head.byteLength >= 4 && head.getUint32(0) === EBML) return ofMatroska(file);
  return ofMp4(file);
}

/** Its boxes, up to the one that is its index; in that, the kind of each track. @param {File} file @returns {Promise<Tracks>} */
async function ofMp4(file) {
  for (let at = 0; at + 8 <= file.size; ) {
    const head = await part(file, at, 16);
    const size = head.getUint32(0) === 1 && head.byteLength === 16 ? Number(head.getBigUint64(8)) : head.getUint32(0);
    const name = text(head, 4);
    if (!/^[a-z]{4}$/.test(name)) break;
    if (name === "moov") return kinds(await part(file, at, Math.min(size || MOST, MOST)));
    if (size < 8) break; // it reaches to the file's end
    at += size;
  }
  return { picture: false, sound: false };
}

/** @param {DataView} index @returns {Tracks} */
function kinds(index) {
  const found = new Set();
  for (let at = 0; at + 16 <= index.byteLength; at += 1) {
    if (index.getUint32(at) === 0x68646c72) found.add(text(index, at + 12)); // "hdlr": version, then nothing, then the kind
  }
  return { picture: found.has("vide"), sound: found.has("soun") };
}

/** @param {File} file @returns {Promise<Tracks>} */
async function ofMatroska(file) {
  const index = await part(file, 0, MOST / 16);
  const begins = find(index, TRACKS, 0);
  const found = new Set();
  for (let at = begins; at >= 0; at = find(index, TRACK_TYPE, at + 1)) {
    if (at > begins && at + 2 < index.byteLength) found.add(index.getUint8(at + 2));
  }
  return { picture: found.has(1), sound: found.has(2) };
}

/** @param {DataView} bytes @param {number[]} wanted @param {number} from @returns {number} where; -1 nowhere */
function find(bytes, wanted, from) {
  for (let at = from; at + wanted.length <= bytes.byteLength; at += 1) {
    if (wanted.every((byte, k) => bytes.getUint8(at + k) === byte)) return at;
  }
  return -1;
}

/** @param {File} file @param {number} at @param {number} length */
const part = async (file, at, length) => new DataView(await file.slice(at, at + length).arrayBuffer());

/** @param {DataView} bytes @param {number} at */
const text = (bytes, at) => String.fromCharCode(...[0, 1, 2, 3].map((k) => bytes.getUint8(at + k)));
