import { type StoredRows, unitOf } from '../stored.js';
import type { NormalizationKind } from './kind.js';
import { type RowNorm, row } from './row.js';
import { type Standardize, standardize } from './standardize.js';
import { type Zca, zca } from './zca.js';

/** A normalisation that the host applies where rows are read: kernels are given f32 that are normalised already. */
export type HostNormalization = Standardize | RowNorm | Zca;

/** (v - mean) / std of a stored value v, with the same two numbers for all of them: kernels apply it as they read. */
export interface ScalarNormalization {
  readonly mean: number;
  readonly std: number;
}

/** Turns stored values into inputs. 8-bit values are divided by 255 first. */
export type Normalization = ScalarNormalization | HostNormalization;

/** The kinds that the host applies. Their names are those of the option. */
export const hostKinds: {
  readonly [K in HostNormalization['kind']]: NormalizationKind<Extract<HostNormalization, { kind: K }>>;
} = { standardize, row, zca };

export type HostKind = keyof typeof hostKinds;

export function isHostKind(name: unknown): name is HostKind {
  return typeof name === 'string' && Object.hasOwn(hostKinds, name);
}

/** Whether the host applies it. */
export function isOnHost(normalization: Normalization): normalization is HostNormalization {
  return 'kind' in normalization;
}

export function kindOf(normalization: HostNormalization): NormalizationKind<HostNormalization> {
  return hostKinds[normalization.kind] as NormalizationKind<HostNormalization>;
}

/** Whether it is of a known kind, complete, and can be undone; its arrays may be not finite. @param in_dims values of a row. */
export function isUsableOnHost(given: HostNormalization, in_dims: number): boolean {
  if (!isHostKind(given.kind)) return false;
  const kind = kindOf(given);
  const fields = given as unknown as Record<string, unknown>;
  const complete =
    kind.numbers.every((name) => Number.isFinite(fields[name])) &&
    Object.entries(kind.arrays(in_dims)).every(([name, shape]) => {
      const length = shape.reduce((all, side) => all * side, 1);
      const array = fields[name];
      return array instanceof Float32Array && array.length === length;
    });
  return complete && kind.isUsable(given);
}

/** Rows [rows, in_dims] normalised, as f32. They may be not finite. */
export function normalizedOnHost(
  values: StoredRows,
  in_dims: number,
  normalization: HostNormalization,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(values.length);
  kindOf(normalization).apply(normalization, values, unitOf(values), in_dims, out);
  return out;
}

/** Undoes that for reconstructions of the rows `stored`: in the units in which those are stored. */
export function undoneOnHost(
  values: Float32Array,
  stored: StoredRows,
  in_dims: number,
  normalization: HostNormalization,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(values.length);
  kindOf(normalization).undo(normalization, values, stored, unitOf(stored), in_dims, out);
  return out;
}

/** What it is as an option's value: a kind's name, or MEAN,STD. */
export function normalizationName(normalization: Normalization): string {
  return isOnHost(normalization) ? normalization.kind : `${normalization.mean},${normalization.std}`;
}

/** Whether two are the same: of those that the host applies, the same object. */
export function sameNormalization(a: Normalization, b: Normalization): boolean {
  const scalar = !isOnHost(a) && !isOnHost(b);
  return a === b || (scalar && a.mean === b.mean && a.std === b.std);
}
