import { gzipSync } from 'node:zlib';
import { reportSignature } from '../../../dist/sae/insight/report/pack.js';
import { unpackReport } from '../../../dist/sae/insight/report/unpack.js';
import { pack, unpack } from '../files.mjs';

const arrays = (type, ...shapes) => shapes.map(([name, ...shape]) => ({ name, type, shape }));
const ofRows = [
  ...arrays('u32', ['row_numbers', 2], ['row_places', 2, 3]),
  ...arrays('f32', ['row_values', 2, 3]),
];
const ofModel = [
  ...arrays(
    'f32',
    ['density', 2],
    ['mean', 2],
    ['max', 2],
    ['example_values', 2, 20],
    ['near_cosines', 2, 8],
  ),
  ...arrays('f32', ['with_jaccard', 2, 8], ['with_share', 2, 8], ['map', 2, 2], ['direction_values', 2, 3]),
  ...arrays('u32', ['histogram', 2, 24], ['example_rows', 2, 20], ['near_latents', 2, 8]),
  ...arrays('u32', ['with_latents', 2, 8], ['direction_places', 2, 3]),
];
const bytesOf = (some) =>
  Buffer.alloc(
    some.reduce((sum, { shape }) => sum + 4 * shape.reduce((product, size) => product * size, 1), 0),
  );

const facts = {
  layout: 1,
  title: 'A report',
  created: '2026-11-30T12:00:00.000Z',
  program: 'webgpu-sae',
  rows: { name: 'rows', rows: 4, in_dims: 3, labelled: true, arrays: ofRows },
  models: [
    {
      arrays: ofModel,
      latents: 2,
      name: 'model',
      facts: [['seed', '1']],
      charts: [{ name: 'Loss', by: 'epoch', curves: [{ name: 'loss', dash: 'solid', data: [[1, null]] }] }],
      tables: [{ heading: ['a'], rows: [['b']] }],
      kind: 'kl',
      normalization: 'none',
      explained_variance: 0.5,
      l0: 1,
      dead: 0,
      threshold: 0,
    },
  ],
  classes: false,
};

// The blocks of a report's file that is dropped on the page, as those of the target `report`.
export default {
  seeds: () => [
    pack([
      ['facts-text', JSON.stringify(facts)],
      ['rows', bytesOf(ofRows)],
      ['model-0', bytesOf(ofModel)],
      ['labels', '["a", "b"]'],
      ['sheets-text', ''],
    ]),
  ],
  // What gzip unpacks to.
  multiple: 1100,
  async read(input) {
    const blocks = [...unpack(input)].map(([name, bytes]) => {
      const [, id, text] = /^(.*?)(-text)?$/s.exec(name);
      const inside = text ? bytes.toString() : gzipSync(bytes).toString('base64');
      return `<script type="application/octet-stream" id="${id}">${inside}</script>\n`;
    });
    await unpackReport(`<!doctype html>${reportSignature} />${blocks.join('')}`, 'report.html');
  },
};
