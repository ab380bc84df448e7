import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import sharp from 'sharp';
import {
  examplesOfLatent,
  histogramBins,
  neighboursOfLatent,
  none,
  type Pictures,
  type ReportedModel,
  type ReportedTerm,
  termsOfLatent,
  valuesOfRow,
} from '../../src/sae/insight/report/layout.js';
import { type NamedArray, packReport, type Report } from '../../src/sae/insight/report/pack.js';

/** What a made-up report is like. */
export interface MadeOptions {
  readonly latents: readonly number[];
  /** Rows of the data set, and those of them that are examples. */
  readonly rows?: number;
  readonly examples?: number;
  readonly images?: 'grey' | 'colour' | undefined;
  /** Labels of the examples; `classes` are digits, `words` several words each. */
  readonly labels?: 'classes' | 'words' | readonly string[] | undefined;
  readonly title?: string;
  readonly seed?: number;
  /** Share of latents that are dead. */
  readonly dead?: number;
  /** Whether training is known: curves, facts, command, history. */
  readonly training?: boolean;
  /** Rows that each latent which is not dead is active for; drawn by chance otherwise. */
  readonly active?: number;
}

const vocabulary =
  'salt sugar honey river mountain valley seven eight python Ruby cloud rain snow Zürich'.split(' ');
const tiles = 64;
const columns = 8;

const viewer = () => readFileSync(new URL('../../dist/report/template.html', import.meta.url), 'utf8');

/** Writes a report whose numbers are drawn with a seed, in the shapes that real ones have. */
export async function writeMadeReport(path: string, options: MadeOptions): Promise<Report> {
  const report = await makeReport(options);
  await writeFile(path, packReport(viewer(), report));
  return report;
}

/** A report's file. */
export async function reportBytes(report: Report): Promise<Buffer> {
  return Buffer.from(await text(packReport(viewer(), report)));
}

export async function makeReport(options: MadeOptions): Promise<Report> {
  const { rows = 10_000, images, seed = 1, title = 'A made-up report', training = true } = options;
  const random = generator(seed);
  const examples = Math.min(options.examples ?? 300, rows);
  const labels = labelsOf(options.labels, examples, random);
  const classes = options.labels === 'classes';
  const names = classes ? Array.from({ length: 10 }, (_, i) => String(i)) : vocabulary;
  const terms: ReportedTerm[] | undefined =
    labels && names.map((name) => ({ name, rows: Math.ceil(rows / names.length) }));
  const sheets = new MadeSheets(images, random);
  const pictures = images && (await sheets.add(examples, false));
  const rowArrays: NamedArray[] = [
    u32('row_numbers', [examples], (i) => Math.floor((i * rows) / examples)),
    ...(images
      ? []
      : [
          u32('row_places', [examples, valuesOfRow], (i) => (i * 7) % 50),
          f32(
            'row_values',
            [examples, valuesOfRow],
            (i) => (1 - (i % valuesOfRow) / 14) * (random() < 0.3 ? -2 : 2),
          ),
        ]),
  ];
  const models: ReportedModel[] = [];
  const arrays: NamedArray[][] = [];
  for (const [index, latents] of options.latents.entries()) {
    const own = modelArrays(options, index, { rows, examples, classes, terms: terms?.length ?? 0 }, random);
    const density = own[0].values;
    const directions = images && (await sheets.add(latents, true));
    if (!images) {
      own.push(
        u32('direction_places', [latents, valuesOfRow], (i) => (i * 13) % 50),
        f32(
          'direction_values',
          [latents, valuesOfRow],
          (i) => (0.9 - (i % valuesOfRow) / 20) * (random() < 0.4 ? -1 : 1),
        ),
      );
    }
    arrays.push(own);
    models.push(describe(options, index, own, density, directions, training));
  }
  return {
    facts: {
      layout: 1,
      title,
      created: '2026-11-30T12:00:00.000Z',
      program: 'webgpu-sae 0.1.0',
      rows: {
        name: 'digits.npy',
        rows,
        in_dims: images === 'colour' ? 3072 : images ? 784 : 50,
        labelled: labels !== undefined,
        arrays: placesOf(rowArrays),
        ...(pictures && { pictures }),
      },
      models,
      ...(terms && { terms }),
      classes,
      ...(images && { image_shape: images === 'colour' ? ([32, 32, 3] as const) : ([28, 28] as const) }),
    },
    rows: rowArrays,
    models: arrays,
    ...(labels && { labels }),
    sheets: sheets.all,
  };
}

function describe(
  { latents }: MadeOptions,
  index: number,
  own: readonly NamedArray[],
  density: ArrayLike<number>,
  directions: Pictures | undefined,
  training: boolean,
): ReportedModel {
  const dead = Array.from(density).filter((share) => share === 0).length;
  const kind = ['topk', 'kl', 'l1'][index % 3];
  const epochs = Array.from({ length: 30 }, (_, i) => i + 1);
  const loss = (epoch: number) => 0.02 + 0.3 / epoch;
  return {
    name: `sae-${kind}-${index + 1}.safetensors`,
    facts: training
      ? [
          ['data', 'digits.npy, 10,000 rows of 784 values'],
          ['sparsity', kind],
          ['adapter', 'llvmpipe (software)'],
          ['seed', '1'],
          ['trained for', '30 epochs in 41 s'],
        ]
      : [],
    ...(training && {
      command: `sae --data digits.npy --sparsity ${kind} --h-dims ${latents[index]} --epochs 30 --seed 1`,
    }),
    normalization: '0.1307,0.3081',
    charts: training
      ? [
          {
            name: 'Loss',
            by: 'epoch',
            curves: [
              { name: 'loss', dash: 'solid', data: epochs.map((epoch) => [epoch, loss(epoch) * 1.3]) },
              { name: 'mse', dash: 'dashed', data: epochs.map((epoch) => [epoch, loss(epoch)]) },
            ],
            range: [0.01, 1],
          },
          {
            name: 'Dead and dense latents',
            by: 'epoch',
            curves: [
              {
                name: 'dead',
                dash: 'solid',
                data: epochs.map((epoch) => [epoch, Math.round(dead * (1 - 1 / epoch))]),
              },
              { name: 'dense', dash: 'dashed', data: epochs.map((epoch) => [epoch, 4 + (epoch % 3)]) },
            ],
          },
        ]
      : [],
    tables: [
      {
        heading: ['figure', 'value'],
        rows: [
          ['explained variance', '93.1 %'],
          ['L0', '12.4'],
          ['MSE', '0.0123'],
        ],
      },
      {
        heading: ['density', 'latents', 'share'],
        rows: [
          ['0', String(dead), '2 %'],
          ['up to 1 %', '40', '60 %'],
          ['more', '12', '38 %'],
        ],
      },
      { heading: ['label', 'best latent', 'F1'], rows: [['seven', '3', '0.812']] },
    ],
    kind,
    explained_variance: 0.93 - index * 0.04,
    l0: 12.4 + index * 7,
    dead,
    threshold: 0,
    latents: latents[index],
    arrays: placesOf(own),
    ...(directions && { directions }),
    ...(training && { history: [1, 5, 10, 20, 30] }),
  };
}

interface Common {
  readonly rows: number;
  readonly examples: number;
  readonly classes: boolean;
  readonly terms: number;
}

function modelArrays(
  { latents: all, dead = 0.1, active, training = true }: MadeOptions,
  index: number,
  { rows, examples, classes, terms }: Common,
  random: () => number,
): NamedArray[] {
  const h = all[index];
  const counts = Array.from({ length: h }, () => {
    if (random() < dead) return 0;
    return active ?? Math.max(1, Math.round(rows * Math.min(0.5, 10 ** (-3.5 + 2.7 * random() ** 1.2))));
  });
  const alive = (latent: number) => counts[latent] > 0;
  const max = Float32Array.from(counts, (count) =>
    count > 0 ? 1 + 4 * random() + 3 / Math.log10(9 + count) : 0,
  );
  const other = (latent: number, i: number) => (i < h - 1 ? (latent + 1 + i * i) % h : none);
  const per = (n: number, value: (latent: number, i: number) => number) => (at: number) =>
    value(Math.floor(at / n), at % n);
  const present = (latent: number, i: number) => alive(latent) && i < counts[latent];
  const arrays = [
    f32('density', [h], (i) => counts[i] / rows),
    f32('mean', [h], (i) => max[i] * 0.4),
    f32('max', [h], (i) => max[i]),
    u32(
      'histogram',
      [h, histogramBins],
      per(histogramBins, (latent, i) => {
        return counts[latent] === 1
          ? Number(i === histogramBins - 1)
          : Math.round((counts[latent] / 6) * Math.exp(-i / 6));
      }),
    ),
    u32(
      'example_rows',
      [h, examplesOfLatent],
      per(examplesOfLatent, (latent, i) => (present(latent, i) ? (latent * 31 + i * 17) % examples : none)),
    ),
    f32(
      'example_values',
      [h, examplesOfLatent],
      per(examplesOfLatent, (latent, i) =>
        present(latent, i) ? max[latent] * (1 - i / examplesOfLatent) : 0,
      ),
    ),
    u32('near_latents', [h, neighboursOfLatent], per(neighboursOfLatent, other)),
    f32(
      'near_cosines',
      [h, neighboursOfLatent],
      per(neighboursOfLatent, (latent, i) => 0.95 - (latent % 10) / 20 - i / 15),
    ),
    u32(
      'with_latents',
      [h, neighboursOfLatent],
      per(neighboursOfLatent, (latent, i) =>
        alive(latent) && counts[latent] > 1 ? other(latent, i + 2) : none,
      ),
    ),
    f32(
      'with_share',
      [h, neighboursOfLatent],
      per(neighboursOfLatent, (_, i) => 0.8 - i / 12),
    ),
    f32(
      'with_jaccard',
      [h, neighboursOfLatent],
      per(neighboursOfLatent, (_, i) => 0.5 - i / 20),
    ),
    f32(
      'map',
      [h, 2],
      per(2, (latent, i) => {
        const angle = (latent % 9) * 0.7;
        return 5 * (i === 0 ? Math.cos(angle) : Math.sin(angle)) + random() + random() - 1;
      }),
    ),
  ];
  if (terms > 0) {
    const n = termsOfLatent;
    arrays.push(
      u32(
        'term_ids',
        [h, n],
        per(n, (latent, i) => (alive(latent) && i < 1 + (latent % n) ? (latent + i) % terms : none)),
      ),
      f32(
        'term_share',
        [h, n],
        per(n, (_, i) => 0.9 / (i + 1)),
      ),
      f32(
        'term_ratio',
        [h, n],
        per(n, (_, i) => 9 / (i + 1)),
      ),
      f32(
        'term_low',
        [h, n],
        per(n, (_, i) => 8 / (i + 1)),
      ),
      f32(
        'term_high',
        [h, n],
        per(n, (_, i) => 10.2 / (i + 1)),
      ),
    );
  }
  if (classes) {
    arrays.push(
      // Some predict none better than chance.
      u32('predicts', [h], (i) => (alive(i) && i % 11 !== 5 ? i % terms : none)),
      f32('precision', [h], (i) => 0.5 + (i % 50) / 100),
      f32('recall', [h], (i) => 0.9 - (i % 40) / 50),
      f32('f1', [h], (i) => 0.6 + (i % 30) / 100),
    );
  }
  if (training) {
    arrays.push(f32('history', [5, h], (at) => (counts[at % h] / rows) * (1 + (4 - Math.floor(at / h)) / 3)));
  }
  for (const [model, latents] of all.entries()) {
    if (model === index) continue;
    arrays.push(
      u32(`match_${model}_latents`, [h], (i) => i % latents),
      f32(`match_${model}_cosines`, [h], (i) => 0.99 - (i % 20) / 30),
    );
  }
  return arrays;
}

function labelsOf(
  labels: MadeOptions['labels'],
  examples: number,
  random: () => number,
): string[] | undefined {
  if (labels === undefined) return undefined;
  if (labels === 'classes') return Array.from({ length: examples }, (_, i) => String((i * 3) % 10));
  if (labels === 'words') {
    const word = () => vocabulary[Math.floor(random() * vocabulary.length)];
    return Array.from({ length: examples }, (_, i) => `${word()} ${word()} and ${word()} ${i}`);
  }
  return Array.from({ length: examples }, (_, i) => labels[i % labels.length]);
}

/** Sheets of pictures: blots and strokes at places by chance. */
class MadeSheets {
  readonly all: Uint8Array<ArrayBuffer>[] = [];
  #offset = 0;

  constructor(
    readonly images: MadeOptions['images'],
    readonly random: () => number,
  ) {}

  async add(count: number, signed: boolean): Promise<Pictures> {
    const side = this.images === 'colour' ? 32 : 28;
    const channels = this.images === 'colour' ? 3 : 1;
    const sheets: { offset: number; bytes: number }[] = [];
    for (let first = 0; first < count; first += tiles) {
      const some = Math.min(tiles, count - first);
      const [width, height] = [columns * side, Math.ceil(some / columns) * side];
      const pixels = new Uint8Array(width * height * channels).fill(signed ? 128 : 0);
      for (let tile = 0; tile < some; tile++) {
        this.#draw(
          pixels,
          width,
          (tile % columns) * side,
          Math.floor(tile / columns) * side,
          side,
          channels,
          signed,
        );
      }
      const file = await sharp(pixels, { raw: { width, height, channels } }).webp({ quality: 80 }).toBuffer();
      const filled = new Uint8Array(Math.ceil(file.length / 3) * 3);
      filled.set(file);
      sheets.push({ offset: this.#offset, bytes: file.length });
      this.#offset += filled.length;
      this.all.push(filled);
    }
    return { width: side, height: side, channels, tiles, columns, type: 'image/webp', sheets };
  }

  #draw(
    pixels: Uint8Array,
    width: number,
    left: number,
    top: number,
    side: number,
    channels: 1 | 3,
    signed: boolean,
  ): void {
    for (let stroke = 0; stroke < 3; stroke++) {
      const [x0, y0, angle] = [0.25 + this.random() / 2, 0.25 + this.random() / 2, this.random() * 6.3];
      const sign = signed && stroke === 1 ? -1 : 1;
      const colour = [this.random(), this.random(), this.random()];
      for (let t = -6; t <= 6; t += 0.5) {
        for (let wide = -1; wide <= 1; wide++) {
          const x = Math.round(x0 * side + t * Math.cos(angle) + wide * Math.sin(angle));
          const y = Math.round(y0 * side + t * Math.sin(angle) - wide * Math.cos(angle));
          if (x < 0 || y < 0 || x >= side || y >= side) continue;
          for (let channel = 0; channel < channels; channel++) {
            const strength = channels === 3 ? colour[channel] : 1 - Math.abs(wide) / 2;
            const at = ((top + y) * width + left + x) * channels + channel;
            pixels[at] = signed ? 128 + sign * 127 * strength : 255 * strength;
          }
        }
      }
    }
  }
}

const placesOf = (arrays: readonly NamedArray[]) =>
  arrays.map(({ name, type, shape }) => ({ name, type, shape }));
const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

function f32(name: string, shape: readonly number[], value: (at: number) => number): NamedArray {
  return {
    name,
    type: 'f32',
    shape,
    values: Float32Array.from({ length: sizeOf(shape) }, (_, i) => value(i)),
  };
}

function u32(name: string, shape: readonly number[], value: (at: number) => number): NamedArray {
  return {
    name,
    type: 'u32',
    shape,
    values: Uint32Array.from({ length: sizeOf(shape) }, (_, i) => value(i)),
  };
}

/** Numbers from 0 to 1 that depend on the seed alone. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
