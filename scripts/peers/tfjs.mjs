// TensorFlow.js as a peer: node scripts/peers/tfjs.mjs webgpu|wasm [by-hand]
// As its guides do it: gradients are recorded, and an optimizer applies them. By hand, which is for WebGPU, is as fast as its
// operations go: backward pass and Adam written out, constants that stay on the device, bias and activation in the product, and
// the faster of its kernels for products. That is 70 dispatches and 3 uploads a step of 784-20 instead of 100 and 39.
// Batches lie on the device, cut beforehand and in one order: no shuffling, no gathering and no copying is in the time.
import {
  adam,
  initialLayers,
  normalizedBatches,
  packageVersion,
  Skip,
  serve,
  settings,
  sleepWhilePending,
  startLibrary,
  timeSteps,
  together,
} from './peer.mjs';

const [backend, variant] = process.argv.slice(2);
const { lr, sparsity_lambda, sparsity_target } = settings;
const target = sparsity_target + 1e-8;
/** Which kernel multiplies matrices: TensorFlow.js's own choice by shape, or always the one with tiles of 32 x 32. */
const kernelChoices = [-1, 3];
const productsAhead = 8;

let tf;
let model;

await serve(hello, { prepare, turn, gemm });

async function hello() {
  const { library, adapter } = await startLibrary(backend, async () => {
    // CommonJS with one namespace: the backends register themselves in it.
    const { default: namespace } = await import('@tensorflow/tfjs');
    await import(`@tensorflow/tfjs-backend-${backend}`);
    return namespace;
  });
  tf = library;
  if (!(await tf.setBackend(backend)))
    throw new Skip(`TensorFlow.js could not start its ${backend} backend.`);
  await tf.ready();
  return { adapter, versions: { 'TensorFlow.js': packageVersion('@tensorflow/tfjs', import.meta.url) } };
}

async function prepare(shape) {
  model?.dispose();
  const layers = initialLayers(shape).map(({ inputs, outputs, weight, bias }) => ({
    weight: tf.variable(tf.tensor2d(weight, [outputs, inputs])),
    bias: tf.variable(tf.tensor1d(bias)),
  }));
  const batches = normalizedBatches(shape).map((values) =>
    tf.tensor2d(values, [shape.batch_size, shape.in_dims]),
  );
  const byHand = variant === 'by-hand';
  const { step, dispose } = (byHand ? writtenOut : minimizing)(layers, shape.h_dims.length - 1, shape);
  model = {
    steps: 0,
    step: () => step(batches[model.steps++ % batches.length]),
    dispose: () => {
      tf.dispose([batches, layers.map(({ weight, bias }) => [weight, bias])]);
      dispose();
    },
  };
  const turns = [await turn({ steps: 1 })];
  return byHand ? chooseKernel(turns) : turns[0];
}

/** Keeps what is faster here. On Mesa's software adapter that halves the step; on a GPU the other one may win. */
async function chooseKernel(turns) {
  const seconds = [];
  for (const choice of kernelChoices) {
    tf.env().set('WEBGPU_MATMUL_PROGRAM_TYPE', choice);
    turns.push(await turn({ steps: 1 })); // compiles
    turns.push(await turn({ steps: 5 }));
    seconds.push(turns.at(-1).seconds);
  }
  tf.env().set('WEBGPU_MATMUL_PROGRAM_TYPE', kernelChoices[seconds.indexOf(Math.min(...seconds))]);
  return together(turns);
}

/** The loss of the steps is read on the way: that submits what is recorded and tells when it is done. */
function turn({ steps }) {
  return timeSteps(
    steps,
    () => [model.step()],
    (losses) => losses.at(-1).data(),
    async (loss) => {
      const [value] = await loss.data();
      loss.dispose();
      return value;
    },
  );
}

/** { step, dispose }: step takes a batch and returns the loss. */
function minimizing(layers, codeLayer) {
  const optimizer = tf.train.adam(lr, adam.beta1, adam.beta2, adam.epsilon);
  const loss = (x) => {
    let h = x;
    let code;
    layers.forEach(({ weight, bias }, i) => {
      h = tf.add(tf.matMul(h, weight, false, true), bias);
      if (i < layers.length - 1) h = tf.relu(h);
      if (i === codeLayer) code = h;
    });
    const mse = tf.mean(tf.square(tf.sub(h, x)));
    const q = tf.add(tf.mean(code, 0), 1e-8);
    const kl = tf.sum(tf.add(tf.mul(tf.log(q), -target), tf.mul(tf.log(tf.sub(1, q)), target - 1)));
    return tf.add(mse, tf.mul(kl, sparsity_lambda));
  };
  const variables = layers.flatMap(({ weight, bias }) => [weight, bias]);
  return {
    step: (x) => optimizer.minimize(() => loss(x), true, variables),
    dispose: () => optimizer.dispose(),
  };
}

function writtenOut(layers, codeLayer, { in_dims, batch_size }) {
  const scalars = new Map();
  const constant = (value) => {
    if (!scalars.has(value)) scalars.set(value, tf.keep(tf.scalar(value)));
    return scalars.get(value);
  };
  const variables = layers.flatMap(({ weight, bias }) => [weight, bias]);
  const zeros = () => variables.map((variable) => tf.variable(tf.zerosLike(variable), false));
  const [first, second] = [zeros(), zeros()];
  let steps = 0;

  const gradients = (x) => {
    const inputs = [x];
    layers.forEach(({ weight, bias }, i) => {
      const activation = i < layers.length - 1 ? 'relu' : 'linear';
      inputs.push(tf.fused.matMul({ a: inputs[i], b: weight, transposeB: true, bias, activation }));
    });
    const difference = tf.sub(inputs.at(-1), x);
    const q = tf.add(tf.mean(inputs[codeLayer + 1], 0), constant(1e-8));
    const rest = tf.sub(constant(1), q);
    const [ofTarget, ofRest] = [-target * sparsity_lambda, (target - 1) * sparsity_lambda];
    const kl = tf.sum(tf.add(tf.mul(tf.log(q), constant(ofTarget)), tf.mul(tf.log(rest), constant(ofRest))));
    const loss = tf.add(tf.mean(tf.square(difference)), kl);
    const all = [];
    let delta = tf.mul(difference, constant(2 / (batch_size * in_dims)));
    for (let i = layers.length - 1; i >= 0; i--) {
      all.unshift(tf.matMul(delta, inputs[i], true), tf.sum(delta, 0));
      if (i === 0) break;
      let before = tf.matMul(delta, layers[i].weight);
      if (i === codeLayer + 1) {
        const [left, right] = [ofTarget, -ofRest].map((value) => constant(value / batch_size));
        before = tf.add(before, tf.add(tf.div(left, q), tf.div(right, rest)));
      }
      delta = tf.mul(before, tf.step(inputs[i]));
    }
    return { loss, all };
  };

  // The moments are kept without Adam's factors 1 - beta, which go into the step's two numbers: two operations fewer a variable.
  const update = (i, gradient, rate, epsilon) => {
    const m = tf.add(tf.mul(first[i], constant(adam.beta1)), gradient);
    const v = tf.add(tf.mul(second[i], constant(adam.beta2)), tf.square(gradient));
    variables[i].assign(tf.sub(variables[i], tf.mul(tf.div(m, tf.add(tf.sqrt(v), epsilon)), rate)));
    first[i].assign(m);
    second[i].assign(v);
  };
  return {
    step: (x) =>
      tf.tidy(() => {
        steps++;
        const { loss, all } = gradients(x);
        const root = Math.sqrt((1 - adam.beta2) / (1 - adam.beta2 ** steps));
        const rate = tf.scalar((lr * (1 - adam.beta1)) / (1 - adam.beta1 ** steps) / root);
        const epsilon = tf.scalar(adam.epsilon / root);
        for (const [i, gradient] of all.entries()) update(i, gradient, rate, epsilon);
        return loss;
      }),
    dispose: () => tf.dispose([first, second, ...scalars.values()]),
  };
}

async function gemm({ size, times }) {
  const [a, b] = [tf.randomUniform([size, size], -0.5, 0.5), tf.randomUniform([size, size], -0.5, 0.5)];
  const multiply = async (count) => {
    let corner;
    for (let i = 0; i < count; i++) {
      corner?.dispose();
      corner = tf.tidy(() => tf.slice(tf.matMul(a, b), [0, 0], [1, 1]));
      if (i % productsAhead === productsAhead - 1) await sleepWhilePending(corner.data());
    }
    await sleepWhilePending(corner.data());
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
