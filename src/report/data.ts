import {
  type ArrayPlace,
  examplesOfLatent,
  factsBlock,
  fromBase64,
  labelsBlock,
  modelBlock,
  none,
  type ReportedModel,
  type ReportFacts,
  rowsBlock,
} from '../sae/insight/report/layout.js';
import { Sheets } from './sheets.js';

/** The file is not whole. Its message is for whoever opened it. */
export class BrokenFile extends Error {
  constructor() {
    super('This file is not whole: its end is missing, or something has changed it. Copy it once more.');
  }
}

type Values = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

/** Arrays of a block by name. */
export class Arrays {
  readonly #values: ReadonlyMap<string, Values>;
  readonly #places: ReadonlyMap<string, ArrayPlace>;

  constructor(places: readonly ArrayPlace[], bytes: Uint8Array<ArrayBuffer>) {
    const values = new Map<string, Values>();
    let at = 0;
    for (const { name, type, shape } of places) {
      const count = shape.reduce((product, size) => product * size, 1);
      const size = type === 'u8' ? count : count * 4;
      if (!(shape.every(Number.isSafeInteger) && count >= 0 && at + size <= bytes.length))
        throw new BrokenFile();
      if (type === 'f32') values.set(name, new Float32Array(bytes.buffer, at, count));
      else if (type === 'u32') values.set(name, new Uint32Array(bytes.buffer, at, count));
      else values.set(name, new Uint8Array(bytes.buffer, at, count));
      at += Math.ceil(size / 4) * 4;
    }
    this.#values = values;
    this.#places = new Map(places.map((place) => [place.name, place]));
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The whole array. */
  get(name: string): Values {
    const values = this.#values.get(name);
    if (!values) throw new BrokenFile();
    return values;
  }

  /** What an array of shape [h, n] holds of one of h. */
  of(name: string, index: number): Values {
    const values = this.get(name);
    const width = this.#places.get(name)!.shape[1] ?? 1;
    return values.subarray(index * width, (index + 1) * width) as Values;
  }
}

/** A row that is an example of a latent: its place among the report's rows, and the latent's activation. */
export interface Example {
  readonly place: number;
  readonly activation: number;
}

/** A model with its arrays. */
export class ModelData {
  constructor(
    /** Its place among the report's models. */
    readonly index: number,
    readonly facts: ReportedModel,
    readonly arrays: Arrays,
    /** Of the report's rows, if they have some. */
    readonly labels: readonly string[] | undefined,
  ) {}

  get latents(): number {
    return this.facts.latents;
  }

  density(latent: number): number {
    return this.arrays.get('density')[latent];
  }

  /** Examples of a latent, from the place `first` of those that it may have. */
  examples(latent: number, first = 0, count = examplesOfLatent): Example[] {
    const rows = this.arrays.of('example_rows', latent).subarray(first, first + count);
    const values = this.arrays.of('example_values', latent);
    return [...rows].flatMap((place, i) =>
      place === none ? [] : [{ place, activation: values[first + i] }],
    );
  }
}

/** What the file holds. Blocks are decoded when they are asked for, once. */
export class ReportFile {
  readonly facts: ReportFacts = readFacts();
  readonly sheets = new Sheets();
  readonly #models = new Map<number, Promise<ModelData>>();
  #rows: Promise<Arrays> | undefined;
  #labels: Promise<readonly string[] | undefined> | undefined;

  model(index: number): Promise<ModelData> {
    let model = this.#models.get(index);
    if (!model) {
      const facts = this.facts.models[index];
      model = Promise.all([unpack(modelBlock(index)), this.#readLabels()]).then(
        ([bytes, labels]) => new ModelData(index, facts, new Arrays(facts.arrays, bytes), labels),
      );
      this.#models.set(index, model);
    }
    return model;
  }

  rows(): Promise<Arrays> {
    this.#rows ??= unpack(rowsBlock).then((bytes) => new Arrays(this.facts.rows.arrays, bytes));
    return this.#rows;
  }

  #readLabels(): Promise<readonly string[] | undefined> {
    this.#labels ??= document.getElementById(labelsBlock)
      ? unpack(labelsBlock).then(labelsIn)
      : Promise.resolve(undefined);
    return this.#labels;
  }
}

function readFacts(): ReportFacts {
  try {
    const facts: ReportFacts = JSON.parse(document.getElementById(factsBlock)!.textContent);
    const all = [facts.rows, ...facts.models].flatMap(({ arrays }) => arrays);
    if (
      facts.layout === 1 &&
      all.every(({ name, shape }) => typeof name === 'string' && Array.isArray(shape))
    ) {
      return facts;
    }
  } catch {}
  throw new BrokenFile();
}

function labelsIn(bytes: Uint8Array): readonly string[] {
  try {
    const labels: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (Array.isArray(labels) && labels.every((label) => typeof label === 'string')) return labels;
  } catch {}
  throw new BrokenFile();
}

async function unpack(id: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const bytes = fromBase64(document.getElementById(id)!.textContent);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new BrokenFile();
  }
}
