// mmer/runtime/graph.py: a graph, open, here in onnxruntime-web (one thread, WASM).

/** @typedef {{data: Float32Array|Uint8Array, dims: number[]}} Input */
/** @typedef {{data: Float32Array, dims: number[]}} Output */
/** @typedef {typeof import("onnxruntime-web")} Runtime */
/** @typedef {import("onnxruntime-web").InferenceSession} InferenceSession */

/**
 * The runtime that opens graphs.
 * @param {string} module address of onnxruntime-web
 * @param {Uint8Array} wasm what it compiles
 * @returns {Promise<Runtime>}
 */
export async function openRuntime(module, wasm) {
  /** @type {Runtime} */
  const ort = await import(module);
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error"; // it warns of every initialiser that a graph does not use
  return ort;
}

// int8 weights are multiplied out once, when the graph is opened, and not in each pass.
const extra = { session: { disable_quant_qdq: "1" } };

export class Graph {
  /** @param {Runtime} runtime @param {Uint8Array} bytes of the file @returns {Promise<Graph>} */
  static async open(runtime, bytes) {
    return new Graph(runtime, await runtime.InferenceSession.create(bytes, { executionProviders: ["wasm"], extra }));
  }

  /** @param {Runtime} runtime @param {InferenceSession} session */
  constructor(runtime, session) {
    this.runtime = runtime;
    this.session = session;
    /** Shapes by name: a graph of a model that was not trained on a modality may lack that input. */
    this.inputs = new Map(session.inputMetadata.map((port) => [port.name, port.isTensor ? port.shape : []]));
  }

  /** One forward pass; what the graph does not take is left out. @param {Record<string, Input>} inputs @returns {Promise<Record<string, Output>>} */
  async forward(inputs) {
    const taken = Object.entries(inputs).filter(([name]) => this.inputs.has(name));
    const tensors = taken.map(([name, { data, dims }]) =>
      [name, new this.runtime.Tensor(data instanceof Uint8Array ? "uint8" : "float32", data, dims)]);
    return /** @type {any} */ (this.session.run(Object.fromEntries(tensors)));
  }
}
