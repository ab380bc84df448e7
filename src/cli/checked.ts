import {
  type CheckOptions,
  type CheckResult,
  checkDevice,
  checkNames,
  EngineError,
  type Gpu,
  type OpenOptions,
  openGpu,
  passedChecks,
  type SparsityName,
  type TrainedSteps,
  type Trainer,
  wrongInWords,
} from '../node/index.js';
import { count, type Reporter } from './reporter.js';

/** Goes on with an adapter that fails checks, or that nobody checked. */
const unchecked = 'SAE_UNCHECKED';

/** An adapter in use, and what it has been used for. */
export interface InUse {
  readonly gpu: Gpu;
  readonly opening: OpenOptions;
  readonly reporter: Reporter;
  /** The kind that is trained, if one is. */
  readonly sparsity?: SparsityName;
}

/** Makes the checks. @throws EngineError that names what fails, and says how to go on all the same. */
export type AdapterCheck = () => Promise<void>;

/**
 * What holds an adapter against known answers of the kernels that are in use, and says so, on a device of its own. Undefined if it has passed
 * all of them before, with this driver and engine.
 */
export async function adapterCheck(inUse: InUse): Promise<AdapterCheck | undefined> {
  const { gpu, reporter, sparsity } = inUse;
  if (process.env[unchecked]) {
    reporter.warn(`Whether ${gpu.name} computes right is not checked: ${unchecked} is set.`);
    return undefined;
  }
  const of = { tiles: gpu.tuner.tiles, sparsity };
  const passed = await passedChecks.of(gpu);
  return checkNames(gpu, { of, passed }).length > 0 ? () => check(inUse, { of, passed }) : undefined;
}

/** The same at once. */
export async function checkAdapter(inUse: InUse): Promise<void> {
  const check = await adapterCheck(inUse);
  await check?.();
}

async function check({ gpu, opening, reporter }: InUse, which: CheckOptions): Promise<void> {
  const results: CheckResult[] = [];
  const own = await openGpu({ adapter: opening.adapter, tune: 'off' });
  try {
    for await (const result of checkDevice(own, which)) results.push(result);
  } finally {
    own.close();
  }
  await passedChecks.remember(gpu, results);
  const wrong = wrongInWords(gpu, results);
  if (wrong === undefined) {
    reporter.line(
      `checked     ${count(results.length)} known answers, since adapter, driver or kernels are new`,
    );
    return;
  }
  throw new EngineError(
    `${wrong} Nothing is saved. Update its driver, or name another adapter with --adapter; sae devices --check lists all that fails. ` +
      `With ${unchecked}=1 in the environment, nothing is checked.`,
  );
}

/** A first epoch that takes longer is interrupted by the check of the adapter. */
const uncheckedMilliseconds = 2000;

/**
 * The first steps of a training, at most `most` and an epoch, and the check of the adapter: the first step comes sooner than after it, and nothing
 * is recorded yet of what the adapter has computed.
 */
export async function* stepsToCheck(
  trainer: Trainer<SparsityName>,
  most: number,
  signal: AbortSignal,
  check: AdapterCheck,
) {
  const soon = new AbortController();
  const either = AbortSignal.any([signal, soon.signal]);
  let began: number | undefined;
  let last: TrainedSteps<SparsityName> | undefined;
  for await (const told of trainer.steps({ count: Math.min(most, trainer.leftInEpoch), signal: either })) {
    // That of the epoch's end is the last one.
    if (told.epoch) last = told;
    else yield told;
    began ??= performance.now();
    if (performance.now() - began > uncheckedMilliseconds) soon.abort();
  }
  await check();
  if (last) yield last;
}
