// Runs an original TensorFlow.js network on the numbers in input.f32 (called by make_golden.py).
const fs = require('fs');
const path = require('path');

const request = JSON.parse(process.argv[2]);
const file = (name) => path.join(request.folder, name);
const fromModules = (name) => require(path.join(request.modules, name));

function bytes(name) {
  const data = fs.readFileSync(file(name));
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
}

// Runs face-api's recogniser in face-api itself, which takes pixels 0..255 and scales them.
async function runFaceApi(pixels) {
  const Module = require('module');
  process.env.NODE_PATH = request.modules; // where face-api finds TensorFlow.js
  Module._initPaths();
  const faceapi = require(file('face-api.node-wasm.js'));
  const wasm = fromModules('@tensorflow/tfjs-backend-wasm');
  wasm.setWasmPaths(path.join(request.modules, '@tensorflow/tfjs-backend-wasm/dist/'));
  await faceapi.tf.setBackend('wasm');
  await faceapi.tf.ready();
  const net = faceapi.nets.faceRecognitionNet;
  const manifest = JSON.parse(fs.readFileSync(file('face_recognition_model-weights_manifest.json')));
  net.loadFromWeightMap(faceapi.tf.io.decodeWeights(bytes('face_recognition_model.bin'), manifest[0].weights));
  const pictures = faceapi.tf.tensor4d(pixels, request.shape);
  return net.forward(faceapi.tf.split(pictures, request.shape[0])); // it takes a batch as a list
}

async function runGraph(values, name, output) {
  const tf = fromModules('@tensorflow/tfjs');
  await tf.setBackend('cpu');
  const json = JSON.parse(fs.readFileSync(file(`${name}.json`)));
  const model = await tf.loadGraphModel({
    load: async () => ({
      ...json, weightSpecs: json.weightsManifest[0].weights, weightData: bytes(`${name}.bin`),
    }),
  });
  return model.execute(tf.tensor4d(values, request.shape), output);
}

async function main() {
  const values = new Float32Array(bytes('input.f32'));
  const runs = {
    dlib: () => runFaceApi(values),
    'hse-faceres': () => runGraph(values, 'faceres', 'global_pooling/Mean'),
    mobileface: () => runGraph(values, 'mobileface', 'batchnorm0/add_1'),
  };
  const result = await runs[request.kind]();
  fs.writeFileSync(file('output.f32'), Buffer.from(new Float32Array(await result.data()).buffer));
}

main().catch((error) => { console.error(error); process.exit(1); });
