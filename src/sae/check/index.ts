import { DeviceLostError, EngineError, OutOfMemoryError } from '../../gpu/errors.js';
import type { Tiles } from '../../gpu/gemm/tiles.js';
import type { Gpu } from '../../gpu/gpu.js';
import { Scope } from '../../gpu/scope.js';
import type { SparsityName } from '../sparsity/index.js';
import { type Check, CheckBench, type Finding } from './check.js';
import { kernelChecks } from './kernels.js';
import { listChecks } from './lists.js';
import { chosenProductChecks, longSumCheck, productChecks, rowSumsCheck } from './products.js';
import { trainingChecks } from './trainings.js';

/** What one check of a device found. */
export interface CheckResult {
  /** The kernels: of a product, the order of its operands and the family. */
  readonly name: string;
  /** The sizes of what was computed. */
  readonly size: string;
  readonly ok: boolean;
  /** What was compared where an error exceeds its bound first or, where none does, comes nearest to it: of a product, the tile. */
  readonly what: string;
  /** The largest error there, and what it may be. */
  readonly error: number;
  readonly bound: number;
  /** Why nothing could be compared, if the device refused to compute it. */
  readonly failure?: string;
}

/** Checks at once: kernels of one are compiled while another waits for the device. */
const together = 4;

/** Which checks are made. */
export interface CheckOptions {
  /** Those of what a run uses: its tiles, of which there may be none yet, and, if it trains, its kind of sparsity. By default all. */
  readonly of?: { readonly tiles: Tiles; readonly sparsity?: SparsityName | undefined };
  /** Names of checks that are not made again. */
  readonly passed?: ReadonlySet<string>;
}

/**
 * Compares what a device computes with known answers: products with every tile and order of operands that the adapter may choose, selections,
 * lists, long sums, rows of bytes and half floats, activations, updates, and a short training of each kind. Answers are computed in double, or
 * were before. Takes a few seconds on a software adapter.
 * @param gpu best one by itself, opened with `tune: 'off'`: nothing is timed then, and what fails does not disturb others.
 * @yields each result when it is known.
 * @throws DeviceLostError, OutOfMemoryError; what an answer differs in is no exception.
 */
export async function* checkDevice(
  gpu: Gpu,
  options: CheckOptions = {},
): AsyncGenerator<CheckResult, void, void> {
  const checks = chosen(gpu, options);
  const running: Promise<CheckResult>[] = [];
  for (const [i] of checks.entries()) {
    while (running.length < Math.min(i + together, checks.length)) {
      const next = result(gpu, checks[running.length]);
      // If the device is lost all of them fail, and only the first is awaited.
      next.catch(() => {});
      running.push(next);
    }
    yield await running[i];
  }
}

/** The names of the checks that `checkDevice` makes. */
export function checkNames(gpu: Gpu, options: CheckOptions = {}): string[] {
  return chosen(gpu, options).map(({ name }) => name);
}

function chosen(gpu: Gpu, { of, passed = new Set() }: CheckOptions): readonly Check[] {
  return (of ? checksOf(gpu, of) : allChecks(gpu)).filter(({ name }) => !passed.has(name));
}

function allChecks(gpu: Gpu): readonly Check[] {
  return [
    ...productChecks(gpu),
    longSumCheck(),
    rowSumsCheck(),
    ...kernelChecks,
    ...listChecks,
    ...trainingChecks,
  ];
}

/** A training has nearly all kernels of its kind, and what only measures has those that stand by themselves. */
function checksOf(gpu: Gpu, { tiles, sparsity }: NonNullable<CheckOptions['of']>): readonly Check[] {
  const own = [`lists of ${sparsity}`, `training ${sparsity}`];
  const ofKind = [...listChecks, ...trainingChecks].filter(({ name }) => own.includes(name));
  return [
    ...(Object.keys(tiles).length > 0 ? chosenProductChecks(tiles) : productChecks(gpu)),
    ...(sparsity ? ofKind : kernelChecks),
  ];
}

async function result(gpu: Gpu, { name, size, run }: Check): Promise<CheckResult> {
  try {
    const findings = await Scope.during((scope) => run(new CheckBench(gpu, scope)));
    return { name, size, ok: findings.every(isOk), ...worst(findings) };
  } catch (error) {
    const saysNothing = error instanceof DeviceLostError || error instanceof OutOfMemoryError;
    if (saysNothing || !(error instanceof EngineError)) throw error;
    const { message } = error;
    return { name, size, ok: false, what: '', error: Number.NaN, bound: 0, failure: message };
  }
}

function isOk({ error, bound }: Finding): boolean {
  return error <= bound;
}

/** The first that is wrong, which those after it may come from; or the one that is nearest to its bound. */
function worst(findings: readonly Finding[]): Finding {
  const share = ({ error, bound }: Finding) => (error === 0 ? 0 : error / bound);
  return findings.find((finding) => !isOk(finding)) ?? findings.toSorted((a, b) => share(b) - share(a))[0];
}
