// jax-js as a peer: node scripts/peers/jax.mjs webgpu|wasm
// The whole step, Adam included, is one function under jit. Batches lie on the device, cut beforehand and in one order.
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

const device = process.argv[2];
const { lr, sparsity_lambda, sparsity_target } = settings;
const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];
/** Steps between two waits for the device: enough to keep it busy, few enough that no queue grows without end. */
const stepsAhead = 25;
const productsAhead = 8;

let jax;
let model;

await serve(hello, { prepare, turn, gemm });

async function hello() {
  const adapter = device === 'webgpu' ? await provideWebGpu() : undefined;
  try {
    jax = await import('@jax-js/jax');
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Skip('its package is missing: run npm ci in scripts/peers.');
  }
  const started = await jax.init(device);
  if (!started.includes(device)) throw new Skip(`jax-js could not start on ${device}.`);
  jax.defaultDevice(device);
  return { adapter, versions: { 'jax-js': packageVersion('@jax-js/jax', import.meta.url) } };
}

async function prepare(shape) {
  if (model) {
    jax.tree.dispose([model.batches, model.state]);
    model.step.dispose();
  }
  const { numpy: np, tree } = jax;
  const parameters = initialLayers(shape).map(({ inputs, outputs, weight, bias }) => ({
    weight: np.array(weight).reshape([outputs, inputs]),
    bias: np.array(bias),
  }));
  const zeros = () => tree.map((value) => np.zeros(value.shape), parameters);
  model = {
    batches: normalizedBatches(shape).map((values) =>
      np.array(values).reshape([shape.batch_size, shape.in_dims]),
    ),
    state: { parameters, first: zeros(), second: zeros() },
    step: jax.jit(stepFor(shape.h_dims.length - 1)),
    steps: 0,
  };
  return turn({ steps: 1 });
}

/** One training step: (state, x, rate, correction) -> [state, loss]. jax-js takes what it is given: `.ref` keeps a value. */
function stepFor(codeLayer) {
  const { numpy: np, nn } = jax;
  const loss = (parameters, x) => {
    let h = x.ref;
    let kl;
    parameters.forEach(({ weight, bias }, i) => {
      h = np.dot(h, weight.transpose()).add(bias);
      if (i < parameters.length - 1) h = nn.relu(h);
      if (i === codeLayer) {
        const q = np.mean(h.ref, 0).add(1e-8);
        const target = sparsity_target + 1e-8;
        const inactive = np.log(q.ref.mul(-1).add(1)).mul(-(1 - target));
        kl = np.sum(np.log(q).mul(-target).add(inactive));
      }
    });
    const difference = h.sub(x);
    return np.mean(difference.ref.mul(difference)).add(kl.mul(sparsity_lambda));
  };
  return ({ parameters, first, second }, x, rate, correction) => {
    const { tree } = jax;
    const [value, gradient] = jax.valueAndGrad(loss)(tree.ref(parameters), x);
    const m = tree.map((old, g) => old.mul(beta1).add(g.mul(1 - beta1)), first, tree.ref(gradient));
    const v = tree.map((old, g) => old.mul(beta2).add(g.ref.mul(g).mul(1 - beta2)), second, gradient);
    const updated = tree.map(
      (p, a, b) => p.sub(a.mul(rate.ref).div(np.sqrt(b).mul(correction.ref).add(epsilon))),
      parameters,
      tree.ref(m),
      tree.ref(v),
    );
    rate.dispose();
    correction.dispose();
    return [{ parameters: updated, first: m, second: v }, value];
  };
}

async function turn({ steps }) {
  const { numpy: np } = jax;
  const losses = [];
  const began = performance.now();
  for (let i = 0; i < steps; i++) {
    const batch = model.batches[model.steps++ % model.batches.length];
    const rate = np.array(lr / (1 - beta1 ** model.steps));
    const correction = np.array(1 / Math.sqrt(1 - beta2 ** model.steps));
    const [state, loss] = model.step(model.state, batch.ref, rate, correction);
    model.state = state;
    losses.push(loss);
    if (i % stepsAhead === stepsAhead - 1) {
      await jax.blockUntilReady(loss);
      await breathe();
    }
  }
  await jax.blockUntilReady([losses[steps - 1], model.state]);
  const seconds = (performance.now() - began) / 1000;
  const values = [];
  for (const loss of losses) values.push((await loss.data())[0]);
  return { seconds, steps, loss: mean(values) };
}

async function gemm({ size, times }) {
  const { numpy: np, random } = jax;
  const [a, b] = [1, 2].map((seed) => random.normal(random.key(seed), [size, size]));
  const product = jax.jit((x, y) => np.dot(x, y));
  const multiply = async (count) => {
    for (let done = 0; done < count; done += productsAhead) {
      // Kept until they are there: a product that is disposed of before is never computed.
      const length = Math.min(productsAhead, count - done);
      const products = Array.from({ length }, () => product(a.ref, b.ref));
      await jax.blockUntilReady(products);
      jax.tree.dispose(products);
    }
  };
  await multiply(1);
  const began = performance.now();
  await multiply(times);
  const seconds = (performance.now() - began) / 1000;
  a.dispose();
  b.dispose();
  return { seconds, times };
}
