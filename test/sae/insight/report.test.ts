import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { DataError } from '../../../src/sae/errors.js';
import { enrichment } from '../../../src/sae/insight/evaluation/enrichment.js';
import { Coactivity } from '../../../src/sae/insight/report/coactivity.js';
import {
  examplesOfLatent,
  histogramBins,
  neighboursOfLatent,
  none,
  type ReportFacts,
} from '../../../src/sae/insight/report/layout.js';
import { mapOf } from '../../../src/sae/insight/report/map.js';
import { packReport } from '../../../src/sae/insight/report/pack.js';
import { encodePictures, shrunk } from '../../../src/sae/insight/report/pictures.js';
import { report } from '../../../src/sae/insight/report/report.js';
import { cutLabels } from '../../../src/sae/insight/report/rows.js';
import { TermCounts, termsOf } from '../../../src/sae/insight/report/terms.js';
import { Model } from '../../../src/sae/model/model.js';
import type { Dataset } from '../../../src/sae/rows/dataset.js';
import { rowSource } from '../../../src/sae/rows/source.js';
import { seededRandom } from '../../reference/random.js';
import { gpuOfFile, reals } from '../../support/device.js';
import { floatRows } from '../../support/models.js';

const gpu = await gpuOfFile();

/** Pixels as they are, after a byte that says how many there are, to be told apart in a file. */
const encodeImage = async (pixels: Uint8Array<ArrayBuffer>) =>
  Uint8Array.from([pixels.length % 251, ...pixels]);
const options = {
  title: 'A <title> & more',
  created: '2026-11-30T12:00:00.000Z',
  program: 'webgpu-sae',
  encodeImage,
  imageType: 'image/test',
};

/** What a report's file holds, read from its HTML. */
async function opened(made: Parameters<typeof packReport>[1]) {
  let html = '';
  for await (const part of packReport('<title><!--title--></title><!--report--><main></main>', made))
    html += part;
  const block = (id: string) =>
    new RegExp(`<script type="[^"]+" id="${id}">(.*?)</script>`, 's').exec(html)?.[1];
  const facts: ReportFacts = JSON.parse(block('facts')!);
  const arrays = (id: string, places: ReportFacts['rows']['arrays']) => {
    const bytes = gunzipSync(Buffer.from(block(id)!, 'base64'));
    let at = 0;
    return Object.fromEntries(
      places.map(({ name, type, shape }) => {
        const length = shape.reduce((all, side) => all * side, 1);
        const own = bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + at + 4 * length);
        at += 4 * length;
        return [name, type === 'f32' ? new Float32Array(own) : new Uint32Array(own)];
      }),
    );
  };
  return {
    html,
    facts,
    rows: arrays('rows', facts.rows.arrays),
    models: facts.models.map((model, i) => arrays(`model-${i}`, model.arrays)),
    labels: block('labels') && JSON.parse(gunzipSync(Buffer.from(block('labels')!, 'base64')).toString()),
    sheets: Buffer.from(block('sheets')!, 'base64'),
  };
}

describe('a report of two models', async () => {
  const random = seededRandom(7);
  const dataset: Dataset = {
    // The first of three labels is told by the first values.
    ...floatRows(
      reals(random, 90 * 12, -1, 1).map((value, i) => (i % 36 < 6 ? value + 2 : value)),
      12,
    ),
    name: 'rows',
    labels: Array.from({ length: 90 }, (_, i) => ['</script><b>', 'two', 'three'][i % 3]),
  };
  const [{ model, codes }, other] = await Promise.all(
    [20, 6].map(async (hidden) => {
      const made = await Model.create(gpu, { in_dims: 12, h_dims: [hidden] }, { seed: hidden });
      return { model: made, codes: await made.encode(dataset) };
    }),
  );
  const subject = (name: string, of: Model) => ({
    name,
    model: of,
    rows: rowSource(dataset),
    kind: 'kl',
    facts: [],
  });
  const made = await report([subject('one', model), subject('other', other.model)], options);
  const file = await opened(made);
  const [arrays, others] = file.models;
  /** The rows that a latent is active for, the strongest first. */
  const activeRows = Array.from({ length: 20 }, (_, latent) =>
    Array.from({ length: 90 }, (_, row) => ({ row, activation: codes[row * 20 + latent] }))
      .filter(({ activation }) => activation > 0)
      .sort((a, b) => b.activation - a.activation || a.row - b.row),
  );
  const rowsOf = activeRows.map((rows) => new Set(rows.map(({ row }) => row)));

  test('says what there is, in HTML in which labels are text', () => {
    expect(file.html).toMatch(/^<title>A &lt;title> &amp; more<\/title><script /);
    expect(file.html).toMatch(/<\/script>\n<main><\/main>$/);
    expect(file.html.match(/<b>/g)).toBeNull();
    expect(file.facts).toMatchObject({
      layout: 1,
      title: options.title,
      rows: { name: 'rows', rows: 90, in_dims: 12, labelled: true },
      models: [
        { name: 'one', latents: 20, kind: 'kl', threshold: 0, charts: [] },
        { name: 'other', latents: 6 },
      ],
      terms: [
        { name: '</script><b>', rows: 30 },
        { name: 'two', rows: 30 },
        { name: 'three', rows: 30 },
        // Words of the first label.
        { name: 'script', rows: 30, word: true },
        { name: 'b', rows: 30, word: true },
      ],
      classes: true,
    });
    expect(file.facts.models[0].tables[0].rows).toContainEqual([
      'explained variance',
      made.evaluations[0].explained_variance.toFixed(4),
    ]);
  });

  test('histograms count the activations of each latent', () => {
    for (const [latent, active] of activeRows.entries()) {
      const counts = new Uint32Array(histogramBins);
      for (const { activation } of active) {
        counts[
          Math.min(histogramBins - 1, Math.floor((activation / active[0].activation) * histogramBins))
        ]++;
      }
      const own = [...arrays.histogram.slice(latent * histogramBins, (latent + 1) * histogramBins)];
      expect(own.reduce((a, b) => a + b, 0)).toBe(active.length);
      // A value at an edge may be on either side, in f32.
      expect(own.reduce((sum, count, i) => sum + Math.abs(count - counts[i]), 0)).toBeLessThan(3);
    }
  });

  test('examples are the strongest rows, and three of each quarter of those that it is active for', () => {
    const { example_rows, example_values } = arrays;
    for (const [latent, active] of activeRows.entries()) {
      const places = [...example_rows.slice(latent * examplesOfLatent, (latent + 1) * examplesOfLatent)];
      const found = places.map((place, i) => {
        return place === none
          ? undefined
          : { row: file.rows.row_numbers[place], activation: example_values[latent * examplesOfLatent + i] };
      });
      expect(found.slice(0, 8).filter((one) => one)).toEqual(active.slice(0, 8));
      // With no more rows than are sampled, the sample is all of them.
      if (active.length > 64) continue;
      for (const quarter of [0, 1, 2, 3]) {
        const edge = (of: number) => Math.ceil((of * active.length) / 4);
        const own = active.slice(edge(quarter), edge(quarter + 1));
        const some = found.slice(8 + 3 * quarter, 11 + 3 * quarter).filter((one) => one);
        expect(some.length).toBe(Math.min(3, own.length));
        for (const one of some) expect(own).toContainEqual(one);
        expect(new Set(some.map((one) => one?.row)).size).toBe(some.length);
      }
    }
    expect(activeRows.some(({ length }) => length > 0 && length <= 64)).toBe(true);
  });

  test('labels and values are those of the rows', () => {
    const { row_numbers, row_places, row_values } = file.rows;
    expect(file.labels).toEqual([...row_numbers].map((row) => dataset.labels?.[row]));
    row_numbers.forEach((row, i) => {
      const own = dataset.data.subarray(row * 12, (row + 1) * 12);
      const places = row_places.subarray(i * 12, (i + 1) * 12);
      expect([...places].sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, place) => place));
      const values = [...row_values.subarray(i * 12, (i + 1) * 12)];
      expect(values).toEqual([...places].map((place) => own[place]));
      expect(values.map(Math.abs)).toEqual(values.map(Math.abs).sort((a, b) => b - a));
    });
  });

  test('what a latent is active with, by the Jaccard index', () => {
    const { with_latents, with_jaccard, with_share } = arrays;
    for (let latent = 0; latent < 20; latent++) {
      const pairs = rowsOf.map((rows, i) => {
        const both = [...rows].filter((row) => rowsOf[latent].has(row)).length;
        return { i, both, jaccard: both / (rows.size + rowsOf[latent].size - both) };
      });
      const best = pairs
        .filter(({ i, both }) => i !== latent && both > 0)
        .sort((a, b) => b.jaccard - a.jaccard || a.i - b.i)
        .slice(0, neighboursOfLatent);
      const at = latent * neighboursOfLatent;
      best.forEach(({ i, both, jaccard }, place) => {
        expect(with_latents[at + place]).toBe(i);
        expect(with_jaccard[at + place]).toBeCloseTo(jaccard, 6);
        expect(with_share[at + place]).toBeCloseTo(both / rowsOf[latent].size, 6);
      });
      expect(
        [...with_latents.slice(at + best.length, at + neighboursOfLatent)].every((one) => one === none),
      ).toBe(true);
    }
  });

  test('terms are those in which the rows of a latent are surely enriched', () => {
    const { term_ids, term_share, term_ratio, term_low } = arrays;
    let found = 0;
    for (let latent = 0; latent < 20; latent++) {
      for (let i = 0; i < 5 && term_ids[latent * 5 + i] !== none; i++) {
        const term = term_ids[latent * 5 + i];
        const share =
          [...rowsOf[latent]].filter((row) => row % 3 === [0, 1, 2, 0, 0][term]).length / rowsOf[latent].size;
        expect(term_share[latent * 5 + i]).toBeCloseTo(share, 6);
        expect(term_ratio[latent * 5 + i]).toBeCloseTo(3 * share, 5);
        expect(term_low[latent * 5 + i]).toBeGreaterThan(1);
        found++;
      }
      if (rowsOf[latent].size > 0) {
        expect(arrays.f1[latent]).toBeCloseTo(made.evaluations[0].latents[latent].predicts?.f1 ?? 0, 6);
      }
    }
    expect(found).toBeGreaterThan(0);
  });

  test('latents are matched with those of the other model by cosine', async () => {
    const [one, two] = await Promise.all(
      [model, other.model].map(async ({ layers }) => {
        const { weight, inputs, outputs } = layers[1];
        const values = await weight.read();
        return Array.from({ length: inputs }, (_, latent) =>
          Array.from({ length: outputs }, (_, i) => values[i * inputs + latent]),
        );
      }),
    );
    const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);
    const cosine = (a: number[], b: number[]) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
    one.forEach((direction, latent) => {
      const cosines = two.map((others) => cosine(direction, others));
      expect(arrays.match_1_latents[latent]).toBe(cosines.indexOf(Math.max(...cosines)));
      expect(arrays.match_1_cosines[latent]).toBeCloseTo(Math.max(...cosines), 5);
    });
    expect(others.match_0_latents.length).toBe(6);
  });

  test('rows that come once are refused before any is read', async () => {
    const piped = {
      ...rowSource(dataset),
      once: true as const,
      read: () => Promise.reject(new Error('read')),
    };
    await expect(report([{ ...subject('one', model), rows: piped }], options)).rejects.toThrow(
      'those of rows come once. Write the rows into a file.',
    );
  });

  test('rows of another length are refused', async () => {
    const short = { ...subject('short', model), rows: { ...rowSource(dataset), rows: 80 } };
    await expect(report([subject('one', model), short], options)).rejects.toThrow(DataError);
  });
});

test.each([
  // count, of, base, ratio, and the ends of the interval: by SciPy 1.10, binomtest(count, of).proportion_ci(method='wilson') / base;
  // the probability of so many or more: binom.sf(count - 1, of, base)
  [0, 7, 0.25, 0, 0, 1.4173217402667497, 1],
  [3, 7, 0.25, 1.7142857142857142, 0.6328794210058788, 2.998166541889371, 0.24359130859375],
  [7, 7, 0.25, 4, 2.5826782597332505, 4, 6.103515625e-5],
  [40, 64, 0.1, 6.25, 5.02503786840045, 7.333401982117535, 2.1377643235907576e-24],
  [999, 1000, 0.5, 1.998, 1.9887148828040841, 1.9996469072587477, 9.341968821217221e-299],
])('enrichment of %d of %d rows', (count, of, base, ratio, low, high, chance) => {
  const found = enrichment(count, of, base);
  expect(found.ratio).toBeCloseTo(ratio, 12);
  expect(found.low).toBeCloseTo(low, 12);
  expect(found.high).toBeCloseTo(high, 12);
  // A bound from above, by no more than the number of values that the count may have.
  expect(found.chance).toBeGreaterThan(chance * 0.999999);
  expect(found.chance).toBeLessThan(chance * (of + 1));
});

test('labels that a few rows have in common by chance are not told', () => {
  const terms = termsOf(Array.from({ length: 100 }, (_, row) => `label ${row % 10}`))!;
  const counts = new TermCounts(terms, 100, 2);
  // Of ten labels, one comes twice in two rows with a probability of a tenth, and thrice in three with a hundredth.
  for (const row of [5, 15]) counts.add(row, [0, 1]);
  counts.add(25, [1]);
  const { ids } = counts.enrichments();
  expect([...ids.subarray(0, 5)].every((id) => id === none)).toBe(true);
  expect(terms.terms[ids[5]].name).toBe('label 5');
});

test('words are counted in all labels, however many different ones there are', () => {
  const many = Array.from({ length: 101 }, (_, i) => `x${i}`).join(' ');
  // After the third label there are too many words, and none of them came but once.
  const labels = [
    'kin',
    many,
    many,
    ...Array.from({ length: 60 }, (_, i) => (i % 2 ? `y${i} kin` : `y${i}`)),
  ];
  expect(termsOf(labels, 100)?.terms).toEqual([{ name: 'kin', rows: 31, word: true }]);
});

test('labels that are all different have their words in common, if any', () => {
  const labels = Array.from({ length: 60 }, (_, i) => `${i % 2 ? 'Cats' : 'dogs'}/img_${i}.PNG`);
  const terms = termsOf(labels);
  expect(terms?.classes).toBe(false);
  // "img" and "png" are in all labels, the numbers in one each.
  expect(terms?.terms).toEqual([
    { name: 'dogs', rows: 30, word: true },
    { name: 'cats', rows: 30, word: true },
  ]);
  expect([...(terms?.of(1) ?? [])]).toEqual([1]);
  expect(termsOf(['a', 'b', 'c', 'd'])).toBeUndefined();
  // Labels that are classes come first, and the words in them that are none.
  const sets = termsOf(['f1 f2', 'f2', 'f2', 'f1 f2', 'F3 f1', 'f3 f1', 'f3 f1', 'F3 f1']);
  expect(sets?.classes).toBe(true);
  expect(sets?.terms.map(({ name, rows }) => `${name}: ${rows}`)).toEqual([
    'f1 f2: 2',
    'f2: 2',
    'F3 f1: 2',
    'f3 f1: 2',
    'f1: 6',
    'f2: 4',
    'f3: 4',
  ]);
  expect([...(sets?.of(4) ?? [])].sort()).toEqual([2, 4, 6]);
});

test('what latents are active with is counted on some of the rows where many are active, and can be stopped', async () => {
  const hidden = 500;
  const counted = new Coactivity(500, hidden, 2000);
  // Of 500 rows, 128 are looked at; those of the first half have the even latents, the others all.
  const all = Array.from({ length: hidden }, (_, latent) => latent);
  const even = all.filter((latent) => latent % 2 === 0);
  for (let row = 0; row < 500; row++) counted.add(row, row < 250 ? even : all);
  const { latents, jaccard, share } = await counted.neighbours();
  expect([...latents.subarray(0, 8)]).toEqual([2, 4, 6, 8, 10, 12, 14, 16]);
  expect([...latents.subarray(8, 16)]).toEqual([3, 5, 7, 9, 11, 13, 15, 17]);
  expect([jaccard[0], share[0], jaccard[8], share[8]]).toEqual([1, 1, 1, 1]);
  await expect(counted.neighbours(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});

test('labels that are too long together are cut, the longest first', () => {
  expect(cutLabels(['abc', 'defghi', 'j', 'klmnopqrst'], 20)).toEqual(['abc', 'defghi', 'j', 'klmnopqrst']);
  // 3 and 1 stay; 8 are left for two.
  expect(cutLabels(['abc', 'defghi', 'j', 'klmnopqrst'], 12)).toEqual(['abc', 'defg…', 'j', 'klmn…']);
  expect(cutLabels([], 12)).toEqual([]);
});

test('the map keeps near directions together', async () => {
  const random = seededRandom(8);
  const groups = 4;
  const each = 12;
  const inGroup = (latent: number) => Math.floor(latent / each);
  const near = Array.from({ length: groups * each }, (_, latent) =>
    Array.from({ length: each - 1 }, (_, i) => {
      const first = inGroup(latent) * each;
      return { latent: first + ((latent - first + 1 + i) % each), cosine: 0.95 - 0.02 * random() };
    }).sort((a, b) => b.cosine - a.cosine),
  );
  const places = await mapOf(near, { seed: 1 });
  const distance = (a: number, b: number) =>
    Math.hypot(places[2 * a] - places[2 * b], places[2 * a + 1] - places[2 * b + 1]);
  for (let latent = 0; latent < groups * each; latent++) {
    const order = [...near.keys()]
      .filter((i) => i !== latent)
      .sort((a, b) => distance(latent, a) - distance(latent, b));
    expect(order.slice(0, 5).every((i) => inGroup(i) === inGroup(latent))).toBe(true);
  }
  expect(await mapOf(near, { seed: 1 })).toEqual(places);
  expect(await mapOf([[]], { seed: 1 })).toEqual(Float32Array.of(0, 0));
});

test('pictures are made smaller by the mean of what each pixel covers', () => {
  // By NumPy: the mean of blocks of 2 x 2, and of 1.5 x 1.5 with parts of pixels by area.
  const image = Uint8Array.from({ length: 36 }, (_, i) => (i * 7) % 256);
  const means = Array.from({ length: 9 }, (_, i) => {
    const at = 12 * Math.floor(i / 3) + 2 * (i % 3);
    return Math.round((image[at] + image[at + 1] + image[at + 6] + image[at + 7]) / 4);
  });
  expect([...shrunk(image, [6, 6], { width: 3, height: 3 })]).toEqual(means);
  const nine = Uint8Array.of(0, 90, 180, 0, 90, 180, 0, 90, 180);
  // Columns of 1.5: (0 + 90 / 2) / 1.5 and (90 / 2 + 180) / 1.5.
  expect([...shrunk(nine, [3, 3], { width: 2, height: 1 })]).toEqual([30, 150]);
  expect([...shrunk(Uint8Array.of(1, 2, 3, 5, 6, 7), [1, 2, 3], { width: 1, height: 1 })]).toEqual([3, 4, 5]);
});

test('tiles lie in sheets, and are as large as fits', async () => {
  const count = 70;
  const read = async (first: number, end: number) =>
    Uint8Array.from({ length: (end - first) * 1024 }, (_, i) => first + Math.floor(i / 1024));
  const sizes: number[][] = [];
  const encode = async (pixels: Uint8Array<ArrayBuffer>, width: number, height: number) => {
    sizes.push([width, height]);
    return pixels;
  };
  const { sheets, described } = await encodePictures(count, [32, 32], read, encode, 70 * 24 * 24);
  expect(described).toEqual({ width: 20, height: 20, channels: 1, tiles: 64, columns: 8 });
  expect(sizes.slice(-2)).toEqual([
    [160, 160],
    [160, 20],
  ]);
  const tile = (i: number) => {
    const at = (Math.floor((i % 64) / 8) * 20 * 8 + (i % 8)) * 20;
    return sheets[Math.floor(i / 64)][at];
  };
  expect(Array.from({ length: count }, (_, i) => tile(i))).toEqual(
    Array.from({ length: count }, (_, i) => i),
  );
});
