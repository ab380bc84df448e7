import { batchtopk } from './batchtopk.js';
import { jumprelu } from './jumprelu.js';
import { kl } from './kl.js';
import { l1 } from './l1.js';
import { matryoshka } from './matryoshka.js';
import { none } from './none.js';
import type { Coding, learningRate, ModelShape, Penalty, Selection, Sparsity } from './sparsity.js';
import { topk } from './topk.js';

export { hasLists } from './sparsity.js';
export type { Coding, learningRate, ModelShape, Penalty, Selection, Sparsity };

/** The kinds of sparsity by name, the default first. Those listed here are available everywhere. */
export const sparsities = { kl, l1, topk, batchtopk, matryoshka, jumprelu, none } as const satisfies Readonly<
  Record<string, Sparsity>
>;

export type SparsityName = keyof typeof sparsities;
export const sparsityNames = Object.keys(sparsities) as [SparsityName, ...SparsityName[]];

/** The value of each term of a kind, by the term's name. */
export type TermValues<S extends SparsityName> = S extends SparsityName
  ? Readonly<Record<(typeof sparsities)[S]['terms'][number]['name'], number>>
  : never;

/** A kind by name, for code that is the same for all kinds. */
export function sparsityOf(name: SparsityName): Sparsity {
  return sparsities[name];
}
