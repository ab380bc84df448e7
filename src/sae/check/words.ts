import type { Gpu } from '../../gpu/gpu.js';
import type { CheckResult } from './index.js';

/** What is wrong with an adapter, in a sentence; undefined if nothing is. */
export function wrongInWords(gpu: Gpu, results: readonly CheckResult[]): string | undefined {
  const failed = results.filter(({ ok }) => !ok);
  if (failed.length === 0) return undefined;
  const others = failed.length > 1 ? `, and ${failed.length - 1} more of ${results.length} checks fail` : '';
  return `${described(gpu)} computes wrong answers: ${resultInWords(failed[0])}${others}.`;
}

/** An adapter with its driver. */
function described({ name, adapter }: Gpu): string {
  const { description } = adapter.info;
  return description && description !== name ? `${name} (${description})` : name;
}

/** What a check found, without a point. */
export function resultInWords({ name, size, what, error, bound, failure }: CheckResult): string {
  if (failure !== undefined) return `${name}, ${size}: ${failure.replace(/\.$/, '')}`;
  const off = Number.isNaN(error) ? 'no number' : `off by ${short(error)}`;
  return `${name}, ${size}: ${what}: ${off}, where at most ${short(bound)} is right`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
