import { readdirSync, readFileSync } from 'node:fs';
import type { ReferenceConfig } from './autoencoder.js';

/** One file of `test/fixtures/parity`: figures that PyTorch computed in double precision. */
export interface ParityVector {
  readonly name: string;
  readonly config: ReferenceConfig & { readonly rows: number; readonly lr: number };
  /** [rows, in_dims]; this and `params` are exact f32 values. */
  readonly x: number[];
  readonly params: Record<string, { shape: number[]; data: number[] }>;
  readonly hidden: number[];
  readonly output: number[];
  readonly mse: number;
  readonly penalty: number;
  /** What the kind of sparsity adds to the loss, unweighted, by name. */
  readonly terms: Readonly<Record<string, number>>;
  readonly loss: number;
  readonly grads: Record<string, number[]>;
  /** Parameters after so many Adam steps on the same rows. */
  readonly params_after: Readonly<Record<string, Record<string, number[]>>>;
}

/** All of them, by kinds of sparsity, in the order of their names: `kl/relu-5`. */
export function parityVectors(): ParityVector[] {
  const folder = new URL('../fixtures/parity/', import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const vectors = files.filter((file) => file.endsWith('.json')).sort();
  return vectors.map((file) => {
    const { kl, ...vector } = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
    const name = file.replace(/\.json$/, '').replaceAll('\\', '/');
    // The first ones have their only term under its own name.
    return { name, ...(kl !== undefined && { terms: { kl } }), ...vector };
  });
}
