// Runs one case of the benchmark: all who take part prepare, then they take turns, so that a noise that lasts hits all alike.

import { say } from '../setup/run.mjs';
import { Dropped } from './contestant.mjs';

/** Rows of the file of digits: an epoch. */
export const rows = 60_000;
/** Seconds: a contestant whose step or product takes longer sits a case out; where ours takes twice as long, all do. */
const slowest = 3;
/** Seconds of all turns of the default shape together, and of another's. */
const budgets = { default: 90, other: 35 };
/** Seconds: a first epoch of the default shape that takes longer is not finished for its loss. */
const longestEpoch = 25;

/**
 * One training step of a shape, over turns of many steps.
 * @param bench { repeats, scale, contestants, leftOut, notes, deadline }: `scale` shortens turns.
 * @returns { title, stepsAnEpoch, batch_size, results } or undefined where there was nothing to compare or no time.
 */
export async function runShape(bench, shape) {
  const { in_dims, h_dims, batch_size, k, isDefault } = shape;
  const title = `${[in_dims, ...h_dims].join('-')}, batch ${batch_size}${k === undefined ? '' : `, k ${k}`}`;
  const stepsAnEpoch = Math.ceil(rows / batch_size);
  const taking = bench.contestants.filter(({ takes }) => takes({ shape }));
  const budget = isDefault ? budgets.default : budgets.other;
  const turnSeconds = Math.min(isDefault ? 2 : 1.2, (budget * bench.scale) / (bench.repeats * taking.length));
  const prepare = async (contestant) => {
    const { wholeEpochs } = contestant;
    const turns = [await contestant.ask({ do: 'prepare', in_dims, h_dims, batch_size, k })];
    const turn = async (steps) => {
      turns.push(await contestant.ask({ do: 'turn', steps }));
      return turns.at(-1);
    };
    // Of a turn that is long enough to tell.
    const left = () => stepsAnEpoch - sum(turns.map(({ steps }) => steps));
    let step;
    for (let steps = 2; step === undefined; steps *= 8) {
      const fitting = Math.min(steps, left());
      const { seconds } = await turn(fitting);
      if (seconds >= turnSeconds / 10 || fitting < steps || left() < 1) step = seconds / fitting;
    }
    checkSlow(contestant, step, 'step');
    const epoch = step * stepsAnEpoch;
    const steps =
      epoch < turnSeconds || (isDefault && wholeEpochs && epoch < longestEpoch)
        ? stepsAnEpoch * Math.max(1, Math.round((0.5 * turnSeconds) / epoch))
        : Math.max(2, Math.round(turnSeconds / step));
    const result = { steps, firstStepSeconds: turns[0].seconds };
    // One more turn to warm up; at the default shape it ends the first epoch where that is not too long, for its loss.
    if (!isDefault || epoch > longestEpoch * bench.scale) {
      await turn(steps);
    } else {
      if (left() > 0) await turn(left());
      const losses = turns.map(({ loss, steps }) => loss * steps);
      result.loss = turns.some(({ loss }) => loss === null) ? null : sum(losses) / stepsAnEpoch;
    }
    return result;
  };
  const turn = async (contestant, { steps }) => {
    const done = await contestant.ask({ do: 'turn', steps });
    return (done.seconds * 1000) / done.steps;
  };
  return runCase(bench, { title, stepsAnEpoch, batch_size }, taking, prepare, turn);
}

/** A product of two matrices, [size, size]. */
export async function runGemm(bench, size) {
  const title = `GEMM ${size}³`;
  const prepare = async (contestant) => {
    const { seconds } = await contestant.ask({ do: 'gemm', size, times: 1 });
    checkSlow(contestant, seconds, 'product');
    const times = Math.min(500, Math.max(2, Math.round((0.7 * bench.scale) / seconds)));
    await contestant.ask({ do: 'gemm', size, times });
    return { times };
  };
  const turn = async (contestant, { times }) => {
    const { seconds } = await contestant.ask({ do: 'gemm', size, times });
    return (seconds * 1000) / times;
  };
  const taking = bench.contestants.filter(({ takes }) => takes({ size }));
  return runCase(bench, { title, flops: 2 * size ** 3 }, taking, prepare, turn);
}

async function runCase(bench, description, contestants, prepare, turn) {
  const { title } = description;
  if (isLate(bench)) {
    bench.notes.push(`${title}: left out, for lack of time.`);
    return undefined;
  }
  const entries = [];
  for (const contestant of contestants) {
    const { name, ours } = contestant;
    try {
      if (isLate(bench)) throw new Dropped('there was no time left for it');
      say(`${title}: ${name} ...`);
      entries.push({ contestant, result: { name, ours, ...(await prepare(contestant)), milliseconds: [] } });
    } catch (error) {
      noteDropped(bench, name, title, error);
      if (ours) return undefined; // there is nothing to compare with
    }
  }
  let round = 0;
  for (; round < bench.repeats && !(round > 0 && isLate(bench)); round++) {
    say(`${title}: round ${round + 1} of ${bench.repeats}`);
    for (let i = 0; i < entries.length; i++) {
      // Another one begins each round.
      const entry = entries[(i + round) % entries.length];
      if (entry.gone) continue;
      try {
        entry.result.milliseconds.push(await turn(entry.contestant, entry.result));
      } catch (error) {
        entry.gone = true;
        noteDropped(bench, entry.contestant.name, title, error);
      }
    }
  }
  if (round < bench.repeats)
    bench.notes.push(`${title}: ${round} of ${bench.repeats} repeats, for lack of time.`);
  return { ...description, results: entries.filter(({ gone }) => !gone).map(({ result }) => result) };
}

/** Notes why a contestant is not there, for a case or for all of them. @throws what is not a reason to drop it. */
export function noteDropped(bench, name, title, error) {
  if (!(error instanceof Dropped)) throw error;
  say(`${name}: ${error.message}`);
  bench.leftOut.push({ name, case: title, why: error.message });
}

/** @throws Dropped where one step or product takes too long to be waited for again and again. */
function checkSlow({ ours }, seconds, what) {
  if (seconds > slowest * (ours ? 2 : 1)) throw new Dropped(`a ${what} takes ${seconds.toFixed(1)} s here`);
}

function isLate({ deadline }) {
  return performance.now() > deadline;
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
