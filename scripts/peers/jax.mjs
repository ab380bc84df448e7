// jax-js as a peer: node scripts/peers/jax.mjs webgpu|wasm
// Several steps, Adam included, are one function under jit. Batches lie on the device, cut beforehand and in one order.
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

const device = process.argv[2];
const { lr, sparsity_lambda, sparsity_target } = settings;
const { beta1, beta2, epsilon } = adam;
/** Steps a call: a third of a step's time is the call's own on WebAssembly. More than five gain little and compile longer. */
const stepsPerCall = 5;
const productsAhead = 8;

let jax;
let model;

await serve(hello, { prepare, turn, gemm });

async function hello() {
  const { library, adapter } = await startLibrary(device, () => import('@jax-js/jax'));
  jax = library;
  const started = await jax.init(device);
  if (!started.includes(device)) throw new Skip(`jax-js could not start on ${device}.`);
  jax.defaultDevice(device);
  return { adapter, versions: { 'jax-js': packageVersion('@jax-js/jax', import.meta.url) } };
}

async function prepare(shape) {
  if (model) {
    jax.tree.dispose([model.batches, model.state]);
    for (const { call } of model.calls) call.dispose();
  }
  const { numpy: np, tree } = jax;
  const parameters = initialLayers(shape).map(({ inputs, outputs, weight, bias }) => ({
    weight: np.array(weight).reshape([outputs, inputs]),
    bias: np.array(bias),
  }));
  const zeros = () => tree.map((value) => np.zeros(value.shape), parameters);
  const step = stepFor(shape.h_dims.length - 1);
  model = {
    batches: normalizedBatches(shape).map((values) =>
      np.array(values).reshape([shape.batch_size, shape.in_dims]),
    ),
    state: { parameters, first: zeros(), second: zeros() },
    calls: [stepsPerCall, 1].map((count) => ({ count, call: jax.jit(repeat(step, count)) })),
    steps: 0,
  };
  // Both calls are compiled before anything is timed.
  return together([await turn({ steps: 1 }), await turn({ steps: stepsPerCall })]);
}

/** `count` steps as one function: (state, batches, rates, corrections) -> [state, losses]. */
function repeat(step, count) {
  return (state, batches, rates, corrections) => {
    const losses = [];
    for (let i = 0; i < count; i++) {
      const [next, loss] = step(state, batches[i], rates[i], corrections[i]);
      state = next;
      losses.push(loss);
    }
    return [state, losses];
  };
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

function turn({ steps }) {
  return timeSteps(
    steps,
    callOnce,
    (losses) => jax.blockUntilReady([losses.at(-1), model.state]),
    async (loss) => (await loss.data())[0],
  );
}

/** As many steps as one call does, at most `most`. Returns their losses. */
function callOnce(most) {
  const { numpy: np } = jax;
  const { count, call } = model.calls.find((candidate) => candidate.count <= most);
  const numbers = Array.from({ length: count }, () => ++model.steps);
  const batches = numbers.map((number) => model.batches[(number - 1) % model.batches.length].ref);
  const rates = numbers.map((number) => np.array(lr / (1 - beta1 ** number)));
  const corrections = numbers.map((number) => np.array(1 / Math.sqrt(1 - beta2 ** number)));
  const [state, losses] = call(model.state, batches, rates, corrections);
  model.state = state;
  return losses;
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
      await sleepWhilePending(jax.blockUntilReady(products));
      jax.tree.dispose(products);
    }
  };
  await multiply(1);
  const began = performance.now();
  await multiply(times);
  const seconds = (performance.now() - began) / 1000;
  a.dispose();
  b.dispose();
  product.dispose();
  return { seconds, times };
}
