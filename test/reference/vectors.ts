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
  readonly kl: number;
  readonly loss: number;
  readonly grads: Record<string, number[]>;
  /** Parameters after so many Adam steps on the same rows. */
  readonly params_after: Record<'1' | '2' | '10', Record<string, number[]>>;
}

/** All of them, in the order of their names. */
export function parityVectors(): ParityVector[] {
  const folder = new URL('../fixtures/parity/', import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  return files.sort().map((file) => ({
    name: file.replace(/\.json$/, ''),
    ...JSON.parse(readFileSync(new URL(file, folder), 'utf8')),
  }));
}
