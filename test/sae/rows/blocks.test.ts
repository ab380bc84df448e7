import { expect, test } from 'vitest';
import { evenly, everyRow } from '../../../src/sae/rows/blocks.js';
import { noNormalization } from '../../../src/sae/rows/dataset.js';

test('rows of many bytes are looked at in blocks that are spread evenly, those of few all', () => {
  // Rows of 1 MiB, 16 of which are a block.
  const source = {
    name: 'rows',
    rows: 1000,
    in_dims: 2 ** 18,
    type: 'f32',
    normalization: noNormalization,
    read: () => new Float32Array(),
  } as const;
  const all = [...everyRow(source)];
  expect(all).toHaveLength(63);
  expect([...evenly(source, 2 ** 30)]).toEqual(all);
  expect([...evenly(source, 2 ** 28)]).toEqual(all.filter((_, i) => i % 4 === 0));
});
