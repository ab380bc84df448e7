// TensorFlow.js as a peer: node scripts/peers/tfjs.mjs webgpu|wasm
// Batches lie on the device, cut beforehand and in one order: no shuffling, no gathering and no copying is in the time.
import {
  breathe,
  initialLayers,
  mean,
  normalizedBatches,
  packageVersion,
  provideWebGpu,
  Skip,
  serve,
  settings,
} from './peer.mjs';

const backend = process.argv[2];
const { lr, sparsity_lambda, sparsity_target } = settings;
/** Steps between two waits for the device: enough to keep it busy, few enough that no queue grows without end. */
const stepsAhead = 25;

let tf;
let model;

await serve(hello, { prepare, turn, gemm });

async function hello() {
  const adapter = backend === 'webgpu' ? await provideWebGpu() : undefined;
  try {
    // CommonJS with one namespace: the backends register themselves in it.
    tf = (await import('@tensorflow/tfjs')).default;
    await import(backend === 'webgpu' ? '@tensorflow/tfjs-backend-webgpu' : '@tensorflow/tfjs-backend-wasm');
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Skip('its packages are missing: run npm ci in scripts/peers.');
  }
  if (!(await tf.setBackend(backend)))
    throw new Skip(`TensorFlow.js could not start its ${backend} backend.`);
  await tf.ready();
  return { adapter, versions: { 'TensorFlow.js': packageVersion('@tensorflow/tfjs', import.meta.url) } };
}

function prepare(shape) {
  if (model) {
    tf.dispose([model.batches, model.variables]);
    model.optimizer.dispose();
  }
  const layers = initialLayers(shape).map(({ inputs, outputs, weight, bias }) => ({
    weight: tf.variable(tf.tensor2d(weight, [outputs, inputs])),
    bias: tf.variable(tf.tensor1d(bias)),
  }));
  model = {
    layers,
    codeLayer: shape.h_dims.length - 1,
    variables: layers.flatMap(({ weight, bias }) => [weight, bias]),
    batches: normalizedBatches(shape).map((values) => tf.tensor2d(values, [shape.batch_size, shape.in_dims])),
    optimizer: tf.train.adam(lr, 0.9, 0.999, 1e-8),
    steps: 0,
  };
  return turn({ steps: 1 });
}

function loss(x) {
  const { layers, codeLayer } = model;
  let h = x;
  let code;
  layers.forEach(({ weight, bias }, i) => {
    h = tf.add(tf.matMul(h, weight, false, true), bias);
    if (i < layers.length - 1) h = tf.relu(h);
    if (i === codeLayer) code = h;
  });
  const mse = tf.mean(tf.square(tf.sub(h, x)));
  const q = tf.add(tf.mean(code, 0), 1e-8);
  const target = sparsity_target + 1e-8;
  const kl = tf.sum(tf.add(tf.mul(tf.log(q), -target), tf.mul(tf.log(tf.sub(1, q)), -(1 - target))));
  return tf.add(mse, tf.mul(kl, sparsity_lambda));
}

async function turn({ steps }) {
  const { batches, optimizer, variables } = model;
  const losses = [];
  const began = performance.now();
  for (let i = 0; i < steps; i++) {
    const batch = batches[model.steps++ % batches.length];
    losses.push(optimizer.minimize(() => loss(batch), true, variables));
    if (i % stepsAhead === stepsAhead - 1) await breathe();
  }
  // The values come after all that was asked for before them.
  const values = [(await losses[steps - 1].data())[0]];
  const seconds = (performance.now() - began) / 1000;
  for (const value of losses) {
    values.push((await value.data())[0]);
    value.dispose();
  }
  return { seconds, steps, loss: mean(values.slice(1)) };
}

async function gemm({ size, times }) {
  const [a, b] = [tf.randomUniform([size, size]), tf.randomUniform([size, size])];
  const multiply = async (count) => {
    let corner;
    for (let i = 0; i < count; i++) {
      corner?.dispose();
      corner = tf.tidy(() => tf.slice(tf.matMul(a, b), [0, 0], [1, 1]));
    }
    await corner.data();
    corner.dispose();
  };
  await multiply(1);
  const began = performance.now();
  await multiply(times);
  const seconds = (performance.now() - began) / 1000;
  a.dispose();
  b.dispose();
  return { seconds, times };
}
