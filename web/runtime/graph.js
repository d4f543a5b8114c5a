// onnxruntime-web and the graphs that it runs: one thread, WASM.

/** @typedef {{data: Float32Array|Uint8Array, dims: number[]}} Given */
/** @typedef {Record<string, {data: Float32Array, dims: number[]}>} Answer */
/** @typedef {((inputs: Record<string, Given>) => Promise<Answer>) & {inputs: Map<string, readonly (number|string)[]>}} Net */
/** @typedef {"mmer.onnx"|"detector/pnet.onnx"|"detector/rnet.onnx"|"detector/onet.onnx"} GraphName */

export class Runtime {
  /**
   * @param {string} module address of onnxruntime-web
   * @param {Uint8Array} wasm what it compiles
   */
  static async open(module, wasm) {
    /** @type {typeof import("onnxruntime-web")} */
    const ort = await import(module);
    ort.env.wasm.wasmBinary = wasm;
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = "error"; // it warns of every initialiser that a graph does not use
    return new Runtime(ort);
  }

  /** @param {typeof import("onnxruntime-web")} ort */
  constructor(ort) {
    this.ort = ort;
  }

  /** @param {Uint8Array} bytes of a graph @returns {Promise<Net>} */
  async net(bytes) {
    const { ort } = this;
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    /** @param {Record<string, Given>} inputs */
    const run = async (inputs) => {
      const feeds = Object.entries(inputs).filter(([name]) => session.inputNames.includes(name));
      const tensors = feeds.map(([name, { data, dims }]) =>
        [name, new ort.Tensor(data instanceof Uint8Array ? "uint8" : "float32", data, dims)]);
      return session.run(Object.fromEntries(tensors));
    };
    const shapes = session.inputMetadata.map((port) => /** @type {const} */ ([port.name, port.isTensor ? port.shape : []]));
    return Object.assign(/** @type {any} */ (run), { inputs: new Map(shapes) });
  }
}
