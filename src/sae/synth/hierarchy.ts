/** Trees of features. They are numbered by breadth: all roots, then the children of each root, and so on. */
export interface TreeShape {
  readonly roots: number;
  /** Children of each feature that has any. */
  readonly branching: number;
  /** Levels below the roots. */
  readonly depth: number;
}

/** Which features are children of which. The children of a feature have consecutive numbers. */
export interface Hierarchy {
  /** Features in trees; those with higher numbers are in none. */
  readonly nodes: number;
  /** Features 0 to roots - 1 are roots. */
  readonly roots: number;
  /** The first child of each node, [nodes]. */
  readonly first: Int32Array;
  /** How many children each node has, [nodes]. */
  readonly count: Int32Array;
}

/** Trees of at most `features` nodes: the last parents get fewer children, or none, if there are not enough. */
export function hierarchy(features: number, { roots, branching, depth }: TreeShape): Hierarchy {
  const first: number[] = [];
  const count: number[] = [];
  let level = Math.min(roots, features);
  let made = level;
  for (let at = 0; at <= depth; at++) {
    let next = 0;
    for (let i = 0; i < level; i++) {
      const children = at < depth ? Math.min(branching, features - made) : 0;
      first.push(made);
      count.push(children);
      made += children;
      next += children;
    }
    level = next;
  }
  return {
    nodes: made,
    roots: Math.min(roots, features),
    first: Int32Array.from(first),
    count: Int32Array.from(count),
  };
}

/**
 * Firing probabilities with which features still fire about as often as `wanted` says although a child needs its parent
 * and excludes its siblings: those of children are divided by the parent's, and multiplied by one and the number of
 * siblings expected to fire beside it. None exceeds 1.
 */
export function compensated(wanted: Float64Array, { nodes, first, count }: Hierarchy): Float64Array {
  const result = wanted.slice();
  for (let parent = 0; parent < nodes; parent++) {
    const end = first[parent] + count[parent];
    const sum = wanted.subarray(first[parent], end).reduce((total, p) => total + p, 0);
    for (let child = first[parent]; child < end; child++) {
      const rivals = count[parent] > 1 ? (sum - wanted[child]) / wanted[parent] : 0;
      result[child] = Math.min(1, (wanted[child] / wanted[parent]) * (1 + rivals));
    }
  }
  return result;
}

/** How activations are passed down a tree. */
export interface Descent {
  /** The activation that a feature would have by itself; 0 if it does not fire. */
  readonly activation: (feature: number) => number;
  /** Chooses one of so many siblings that fire, from 0, where they exclude each other; undefined if they do not. */
  readonly choose: ((firing: number) => number) | undefined;
  /** The mean activation of each feature where a child's is multiplied by its parent's, divided by its mean. */
  readonly means: ArrayLike<number> | undefined;
  /** Takes an active feature. */
  readonly found: (feature: number, activation: number) => void;
}

/**
 * Finds the active features below an active one. A child is active only if its parent is; nothing is drawn for the
 * others, which is most of them.
 */
export function descend(trees: Hierarchy, parent: number, activation: number, way: Descent): void {
  const { first, count, nodes } = trees;
  if (parent >= nodes || count[parent] === 0) {
    return;
  }
  const children: number[] = [];
  const own: number[] = [];
  for (let child = first[parent]; child < first[parent] + count[parent]; child++) {
    const value = way.activation(child);
    if (value > 0) {
      children.push(child);
      own.push(value);
    }
  }
  const only = way.choose && children.length > 1 ? way.choose(children.length) : undefined;
  const scale = way.means ? activation / way.means[parent] : 1;
  for (let i = 0; i < children.length; i++) {
    if (only === undefined || only === i) {
      const value = own[i] * scale;
      way.found(children[i], value);
      descend(trees, children[i], value, way);
    }
  }
}
