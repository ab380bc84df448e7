import { gzipSync } from 'node:zlib';
import { pack, unpack } from '../files.mjs';

const elements = new Map();
globalThis.document = { getElementById: (id) => elements.get(id) ?? null };
const { BrokenFile, ReportFile } = await import(new URL('../work/browser/report.js', import.meta.url).href);

const facts = {
  layout: 1,
  title: 'A report',
  rows: {
    name: 'rows',
    rows: 4,
    in_dims: 3,
    labelled: true,
    arrays: [{ name: 'row_numbers', type: 'u32', shape: [2] }],
  },
  models: [
    {
      name: 'model',
      latents: 2,
      arrays: [
        { name: 'density', type: 'f32', shape: [2] },
        { name: 'example_rows', type: 'u32', shape: [2, 20] },
        { name: 'example_values', type: 'f32', shape: [2, 20] },
        { name: 'flags', type: 'u8', shape: [2, 3] },
      ],
    },
  ],
};
const [rows, model] = [8, 8 + 160 + 160 + 8].map((length) => Buffer.alloc(length, 1));

// The blocks of a report's file: gzipped and in base64 or, where a name ends in -text, as they are.
export default {
  seeds: () => [
    pack([
      ['facts-text', JSON.stringify(facts)],
      ['rows', rows],
      ['model-0', model],
      ['labels', '["a", "b"]'],
    ]),
    pack([
      ['facts-text', JSON.stringify(facts)],
      ['rows-text', gzipSync(rows).toString('base64')],
      ['model-0-text', gzipSync(model).toString('base64')],
    ]),
  ],
  errors: [BrokenFile],
  // What gzip unpacks to.
  multiple: 1100,
  async read(input) {
    elements.clear();
    for (const [name, bytes] of unpack(input)) {
      const [, id, text] = /^(.*?)(-text)?$/s.exec(name);
      elements.set(id, { textContent: text ? bytes.toString() : gzipSync(bytes).toString('base64') });
    }
    const file = new ReportFile();
    const found = [await file.rows(), ...(await Promise.all(file.facts.models.map((_, i) => file.model(i))))];
    for (const { arrays, latents } of found) {
      for (let latent = 0; latent < Math.min(latents, 10); latent++) {
        for (const { name } of file.facts.models[0].arrays) if (arrays.has(name)) arrays.of(name, latent);
      }
    }
  },
};
