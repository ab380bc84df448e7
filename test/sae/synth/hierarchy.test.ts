import { describe, expect, it } from 'vitest';
import { synthPresets } from '../../../src/sae/synth/config.js';
import { zipf } from '../../../src/sae/synth/features.js';
import { compensated, descend, type Hierarchy, hierarchy } from '../../../src/sae/synth/hierarchy.js';
import { fixtures } from './fixtures.js';

const { bench16k_hierarchy, hierarchy_small } = fixtures.model;
const { data } = synthPresets['16k'];

function children({ first, count }: Hierarchy, parent: number): number[] {
  return Array.from({ length: count[parent] }, (_, i) => first[parent] + i);
}

describe('trees', () => {
  const trees = hierarchy(data.features, data.trees);

  it('of SynthSAEBench-16k are numbered by breadth', () => {
    const { nodes, roots, first_root_children, last_root_children, first_grandchildren } = bench16k_hierarchy;
    expect([trees.nodes, trees.roots]).toEqual([nodes, roots]);
    expect(children(trees, 0)).toEqual(first_root_children);
    expect(children(trees, 127)).toEqual(last_root_children);
    expect(children(trees, 128)).toEqual(first_grandchildren);
    expect(children(trees, nodes - 1)).toEqual([]);
  });

  it('of SynthSAEBench-16k have compensated probabilities', () => {
    const wanted = zipf(data.features, data.firing);
    const found = compensated(wanted, trees);
    for (const [i, value] of Object.entries(bench16k_hierarchy.corrected_at)) {
      expect(found[Number(i)] / value).toBeCloseTo(1, 5);
    }
    for (const [i, value] of Object.entries(bench16k_hierarchy.correction_at)) {
      expect(found[Number(i)] / wanted[Number(i)] / value).toBeCloseTo(1, 5);
    }
    const { max_before_clamp } = bench16k_hierarchy;
    expect(Math.max(...found)).toBeCloseTo(max_before_clamp, 5);
  });

  it('end where there are no more features, and probabilities at 1', () => {
    const few = hierarchy(6, { roots: 2, branching: 3, depth: 2 });
    expect([...few.count]).toEqual([3, 1, 0, 0, 0, 0]);
    expect(few.nodes).toBe(6);
    // 2, 3 and 4 exclude each other under 0; 5 is the only child of 1.
    const wanted = Float64Array.of(0.2, 0.4, 0.02, 0.03, 0.15, 0.1);
    const found = [
      0.2,
      0.4,
      (0.02 / 0.2) * (1 + 0.18 / 0.2),
      (0.03 / 0.2) * (1 + 0.17 / 0.2),
      0.15 / 0.2,
      0.25,
    ];
    found[4] = Math.min(1, found[4] * (1 + 0.05 / 0.2));
    expect([...compensated(wanted, few)]).toEqual(found.map((p) => expect.closeTo(p, 12)));
    wanted[4] = 0.19;
    expect(compensated(wanted, few)[4]).toBe(1);
  });
});

describe('activations', () => {
  // 0 -> (1 -> (3, 4), 2), and 5 by itself.
  const trees: Hierarchy = {
    nodes: 5,
    roots: 1,
    first: Int32Array.of(1, 3, 5, 5, 5),
    count: Int32Array.of(2, 2, 0, 0, 0),
  };
  const { input, gated, scaled, mean_firing_magnitudes } = hierarchy_small;
  const features = input.shape[1];

  it.each([
    ['need their parent', gated, undefined],
    ['are scaled by it', scaled, mean_firing_magnitudes],
  ])('%s', (_, expected, means) => {
    for (let row = 0; row < input.shape[0]; row++) {
      const own = input.data.slice(row * features, (row + 1) * features);
      const out = new Array<number>(features).fill(0);
      const found = (feature: number, activation: number) => {
        out[feature] = activation;
      };
      for (const root of [0, 5].filter((feature) => own[feature] > 0)) {
        found(root, own[root]);
        descend(trees, root, own[root], { activation: (i) => own[i], choose: undefined, means, found });
      }
      const values = expected.data.slice(row * features, (row + 1) * features);
      expect(out).toEqual(values.map((value) => expect.closeTo(value, 6)));
    }
  });

  it('of siblings that exclude each other are those of one, chosen among the active', () => {
    const asked: number[] = [];
    const seen: number[] = [];
    const choose = (count: number) => {
      asked.push(count);
      return count - 1;
    };
    const found = (feature: number) => seen.push(feature);
    const own = [1, 1, 1, 1, 1];
    descend(trees, 0, 1, { activation: (i) => own[i], choose, means: undefined, found });
    expect([asked, seen]).toEqual([[2], [2]]);
    own[2] = 0;
    own[3] = 0;
    seen.length = 0;
    descend(trees, 0, 1, { activation: (i) => own[i], choose, means: undefined, found });
    expect([asked, seen]).toEqual([[2], [1, 4]]);
  });
});
