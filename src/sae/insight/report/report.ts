import { DataError } from '../../errors.js';
import { activeAbove } from '../../model/activity.js';
import type { Model } from '../../model/model.js';
import { normalizationName } from '../../rows/normalization/index.js';
import { type Rows, rowSource } from '../../rows/source.js';
import {
  decoderDirections,
  type Matches,
  matchedLatents,
  type Neighbours,
  nearestLatents,
  unitRows,
} from '../evaluation/directions.js';
import { type Evaluation, evaluation } from '../evaluation/evaluation.js';
import { densityTable, figureTable, labelTable } from '../evaluation/tables.js';
import { encodedRows } from '../latents.js';
import { imageShape, weightGreys } from '../pictures.js';
import { type Coactive, Coactivity } from './coactivity.js';
import { Examples } from './examples.js';
import {
  examplesOfLatent,
  histogramBins,
  neighboursOfLatent,
  none,
  type Pictures,
  type ReportedChart,
  type ReportedModel,
  termsOfLatent,
} from './layout.js';
import { mapOf, neighboursOnMap } from './map.js';
import type { NamedArray, Report } from './pack.js';
import { type EncodedPictures, type EncodeImage, encodePictures } from './pictures.js';
import { exampleRows } from './rows.js';
import { type Enriched, TermCounts, type Terms, termsOf } from './terms.js';
import { largestValues } from './values.js';

/** Bytes of pictures: of all examples, and of all directions. A third more as base64. */
const [examplesBytes, directionsBytes] = [5e6, 2e6];

/** A model of a report. */
export interface ReportSubject {
  readonly name: string;
  readonly model: Model;
  /** Rows as this model takes them. Those of all models of a report are the same but for their normalisation. */
  readonly rows: Rows;
  /** The kind of sparsity. */
  readonly kind: string;
  /** Names and values of what is known of its training. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** A command that repeats the training. */
  readonly command?: string | undefined;
  /** Of its training, by epoch. */
  readonly charts?: readonly ReportedChart[] | undefined;
  /** Latents' densities by epoch: [epochs.length, hidden]. */
  readonly history?: { readonly epochs: readonly number[]; readonly densities: Float32Array } | undefined;
}

export interface ReportOptions {
  readonly title: string;
  /** ISO 8601. */
  readonly created: string;
  /** The program and its version. */
  readonly program: string;
  readonly encodeImage: EncodeImage;
  /** The MIME type of what `encodeImage` makes. */
  readonly imageType: string;
  /** Chooses among the rows that a latent is active for, and begins the map. */
  readonly seed?: number;
  /** Places latents in a plane as `mapOf` does, in another thread perhaps. */
  readonly mapOf?: typeof mapOf;
  readonly signal?: AbortSignal;
  /** Is called with what is done, and how much of it. */
  readonly progress?: (what: string, done: number, of: number) => void;
}

/**
 * Tells what models have learned: how good they are, as `evaluation` does, and of each latent its examples, its neighbours, what it is
 * active with and what labels have in common. Rows are read twice for each model, and once more for the examples.
 * @throws DataError if models and rows do not belong together; NonFiniteError; LimitError; OutOfMemoryError; ClosedError; the signal's reason.
 */
export async function report(
  subjects: readonly ReportSubject[],
  options: ReportOptions,
): Promise<Report & { readonly evaluations: readonly Evaluation[] }> {
  const ended = new AbortController();
  try {
    return await made(subjects, options, ended.signal);
  } finally {
    // After a failure, nobody waits for the maps.
    ended.abort();
  }
}

/** @param ended ends the work on maps. */
async function made(
  subjects: readonly ReportSubject[],
  options: ReportOptions,
  ended: AbortSignal,
): ReturnType<typeof report> {
  const [{ rows }] = subjects;
  if ('read' in rows && rows.once) {
    throw new DataError(
      `A report reads all rows several times, and those of ${rows.name} come once. Write the rows into a file.`,
    );
  }
  for (const { name, rows: others } of subjects) {
    if (others.rows !== rows.rows || others.in_dims !== rows.in_dims) {
      throw new DataError(
        `The rows of ${name} are not those of ${subjects[0].name}, so they are not in one report.`,
      );
    }
  }
  const { signal, progress, seed = 0 } = options;
  const ending = signal ? AbortSignal.any([signal, ended]) : ended;
  const image_shape = imageShape(rows);
  const terms = rows.labels && termsOf(rows.labels);
  const evaluations: Evaluation[] = [];
  const gathered: Gathered[] = [];
  const near: Neighbours[][] = [];
  const maps: Promise<Float32Array<ArrayBuffer>>[] = [];
  for (const subject of subjects) {
    const neighbours = await nearestLatents(subject.model, Math.max(neighboursOfLatent, neighboursOnMap));
    near.push(neighbours);
    const map = (options.mapOf ?? mapOf)(neighbours, { seed, signal: ending });
    // Something else may fail before it is awaited.
    map.catch(() => {});
    maps.push(map);
    const figures = await evaluation(subject.model, subject.rows, {
      neighbours,
      ...(signal && { signal }),
      progress: (done) => progress?.('figures', done, rows.rows),
    });
    evaluations.push(figures);
    gathered.push(await gather(subject, figures, terms, options));
  }
  const examples = await exampleRows(
    rows,
    gathered.map(({ examples: { rows: some } }) => some),
    image_shape,
    options,
    examplesBytes,
  );
  const matches = await matchedLatents(subjects.map(({ model }) => model));
  const sheets = new Sheets(options.imageType);
  const rowPictures = examples.pictures && sheets.add(examples.pictures);
  const models: ReportedModel[] = [];
  const arrays: NamedArray[][] = [];
  for (const [i, subject] of subjects.entries()) {
    const { model } = subject;
    const directions = await decoderDirections(model);
    const size = rows.in_dims;
    const drawn =
      image_shape &&
      sheets.add(
        await encodePictures(
          model.hidden,
          image_shape,
          async (first, end) => {
            const greys = new Uint8Array((end - first) * size);
            for (let latent = first; latent < end; latent++) {
              const direction = directions.subarray(latent * size, (latent + 1) * size);
              greys.set(weightGreys(direction), (latent - first) * size);
            }
            return greys;
          },
          options.encodeImage,
          directionsBytes / subjects.length,
        ),
      );
    progress?.('map', i, subjects.length);
    const map = await maps[i];
    const own = [
      ...figureArrays(model, evaluations[i], gathered[i], near[i], map, examples.placeOf, terms),
      ...(drawn ? [] : largestValues('direction', unitRows(directions, size), size)),
      ...(subject.history ? [historyArray(subject.history, model.hidden)] : []),
    ];
    for (const [j, found] of matches[i].entries()) if (found) own.push(...matchArrays(found, j));
    arrays.push(own);
    models.push(describe(subject, evaluations[i], own, drawn));
  }
  return {
    facts: {
      layout: 1,
      title: options.title,
      created: options.created,
      program: options.program,
      rows: {
        name: rows.name,
        rows: rows.rows,
        in_dims: rows.in_dims,
        labelled: rows.labels !== undefined,
        arrays: places(examples.arrays),
        ...(rowPictures && { pictures: rowPictures }),
      },
      models,
      ...(terms && { terms: terms.terms.map((term) => ({ ...term, name: cut(term.name) })) }),
      classes: terms?.classes ?? false,
      ...(image_shape && { image_shape }),
    },
    rows: examples.arrays,
    models: arrays,
    ...(examples.labels && { labels: examples.labels }),
    sheets: sheets.all,
    evaluations,
  };
}

/** What a pass over the rows gives of a model's latents. */
interface Gathered {
  readonly histogram: Uint32Array<ArrayBuffer>;
  /** Numbers of rows, and activations: [hidden, examplesOfLatent]. */
  readonly examples: { readonly rows: Uint32Array<ArrayBuffer>; readonly values: Float32Array<ArrayBuffer> };
  readonly coactive: Coactive;
  readonly enriched: Enriched | undefined;
}

async function gather(
  { model, rows }: ReportSubject,
  { active: l0, latents: figures }: Evaluation,
  terms: Terms | undefined,
  { seed = 0, signal, progress }: ReportOptions,
): Promise<Gathered> {
  const { hidden } = model;
  const threshold = activeAbove(model.config);
  const source = rowSource(rows);
  const max = Float32Array.from(figures, (latent) => latent.max);
  const examples = new Examples(hidden, max, threshold, seed);
  const coactivity = new Coactivity(source.rows, hidden, l0);
  const counts = terms && new TermCounts(terms, source.rows, hidden);
  for await (const [codes, first] of encodedRows(model, source, signal)) {
    let row = first;
    for (let at = 0; at < codes.length; at += hidden) {
      const code = codes.subarray(at, at + hidden);
      const active = activeOf(code, threshold);
      examples.add(row, code, active);
      coactivity.add(row, active);
      counts?.add(row, active);
      row++;
    }
    progress?.('examples', row, source.rows);
  }
  return {
    histogram: examples.histogram,
    examples: examples.examples,
    coactive: await coactivity.neighbours(signal),
    enriched: counts?.enrichments(),
  };
}

function activeOf(code: Float32Array, threshold: number): number[] {
  const active: number[] = [];
  for (let latent = 0; latent < code.length; latent++) if (code[latent] > threshold) active.push(latent);
  return active;
}

function figureArrays(
  model: Model,
  { latents }: Evaluation,
  { histogram, examples, coactive, enriched }: Gathered,
  near: readonly Neighbours[],
  map: Float32Array<ArrayBuffer>,
  placeOf: (row: number) => number,
  terms: Terms | undefined,
): NamedArray[] {
  const { hidden } = model;
  const nearest = <T>(value: (one: (typeof near)[number][number]) => T, missing: T) =>
    near.flatMap((some) =>
      Array.from({ length: neighboursOfLatent }, (_, i) => (some[i] ? value(some[i]) : missing)),
    );
  const f32 = (name: string, values: Float32Array<ArrayBuffer>, ...shape: number[]): NamedArray => {
    return { name, type: 'f32', shape: [hidden, ...shape], values };
  };
  const u32 = (name: string, values: Uint32Array<ArrayBuffer>, ...shape: number[]): NamedArray => {
    return { name, type: 'u32', shape: [hidden, ...shape], values };
  };
  const classes = terms?.classes ? new Map(terms.terms.map(({ name }, place) => [name, place])) : undefined;
  return [
    f32(
      'density',
      Float32Array.from(latents, ({ density }) => density),
    ),
    f32(
      'mean',
      Float32Array.from(latents, ({ mean }) => mean),
    ),
    f32(
      'max',
      Float32Array.from(latents, ({ max }) => max),
    ),
    u32('histogram', histogram, histogramBins),
    u32(
      'example_rows',
      examples.rows.map((row) => (row === none ? none : placeOf(row))),
      examplesOfLatent,
    ),
    f32('example_values', examples.values, examplesOfLatent),
    u32('near_latents', Uint32Array.from(nearest(({ latent }) => latent, none)), neighboursOfLatent),
    f32('near_cosines', Float32Array.from(nearest(({ cosine }) => cosine, 0)), neighboursOfLatent),
    u32('with_latents', coactive.latents, neighboursOfLatent),
    f32('with_jaccard', coactive.jaccard, neighboursOfLatent),
    f32('with_share', coactive.share, neighboursOfLatent),
    ...(enriched
      ? [
          u32('term_ids', enriched.ids, termsOfLatent),
          f32('term_share', enriched.share, termsOfLatent),
          f32('term_ratio', enriched.ratio, termsOfLatent),
          f32('term_low', enriched.low, termsOfLatent),
          f32('term_high', enriched.high, termsOfLatent),
        ]
      : []),
    ...(classes
      ? [
          u32(
            'predicts',
            Uint32Array.from(latents, ({ predicts }) => (predicts ? classes.get(predicts.label)! : none)),
          ),
          f32(
            'precision',
            Float32Array.from(latents, ({ predicts }) => predicts?.precision ?? 0),
          ),
          f32(
            'recall',
            Float32Array.from(latents, ({ predicts }) => predicts?.recall ?? 0),
          ),
          f32(
            'f1',
            Float32Array.from(latents, ({ predicts }) => predicts?.f1 ?? 0),
          ),
        ]
      : []),
    f32('map', map, 2),
  ];
}

/** Of each latent the one of another model with the nearest decoder direction. */
function matchArrays({ latents, cosines }: Matches, place: number): NamedArray[] {
  const shape = [latents.length];
  return [
    { name: `match_${place}_latents`, type: 'u32', shape, values: latents },
    { name: `match_${place}_cosines`, type: 'f32', shape, values: cosines },
  ];
}

function historyArray(
  { epochs, densities }: NonNullable<ReportSubject['history']>,
  hidden: number,
): NamedArray {
  return {
    name: 'history',
    type: 'f32',
    shape: [epochs.length, hidden],
    values: Float32Array.from(densities),
  };
}

function describe(
  { name, model, rows, kind, facts, command, charts = [], history }: ReportSubject,
  figures: Evaluation,
  arrays: readonly NamedArray[],
  directions: Pictures | undefined,
): ReportedModel {
  const { heading, rows: told } = labelTable(figures);
  const labels = { heading, rows: told.map(([label, ...others]) => [cut(label), ...others]) };
  return {
    name,
    latents: model.hidden,
    arrays: places(arrays),
    facts,
    ...(command !== undefined && { command }),
    charts,
    tables: [
      figureTable(`${rows.name}, ${figures.rows.toLocaleString('en')} rows`, model.hidden, figures),
      densityTable(figures),
      ...(labels.rows.length > 0 ? [labels] : []),
    ],
    kind,
    normalization: normalizationName(rows.normalization),
    explained_variance: figures.explained_variance,
    l0: figures.active,
    dead: figures.dead,
    threshold: activeAbove(model.config),
    ...(directions && { directions }),
    ...(history && { history: history.epochs }),
  };
}

/** Puts pictures one after another, each filled up to a multiple of 3 bytes. */
class Sheets {
  readonly all: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;

  constructor(readonly type: string) {}

  add({ sheets, described }: EncodedPictures): Pictures {
    const placed = sheets.map((sheet) => {
      const filled = new Uint8Array(Math.ceil(sheet.length / 3) * 3);
      filled.set(sheet);
      this.all.push(filled);
      this.#bytes += filled.length;
      return { offset: this.#bytes - filled.length, bytes: sheet.length };
    });
    return { ...described, type: this.type, sheets: placed };
  }
}

/** Characters of a label that stands for others, at most. */
const longestName = 200;

function cut(name: string): string {
  return name.length > longestName ? `${name.slice(0, longestName)}…` : name;
}

function places(arrays: readonly NamedArray[]): ReportedModel['arrays'] {
  return arrays.map(({ name, type, shape }) => ({ name, type, shape }));
}
