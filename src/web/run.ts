import {
  type Dataset,
  type Gpu,
  type GreyRange,
  imageShape,
  inputRange,
  type Model,
  Probe,
  type Trainer,
  UnitPictures,
} from '../sae/index.js';

/** Rows that are shown with their reconstructions. */
export const sampleCount = 10;

/** For the rows that are shown. The model is closed where this fails. @throws DataError where rows have another width. */
export async function sampleProbe(model: Model, dataset: Dataset): Promise<Probe> {
  try {
    model.checkWidth(dataset);
    return await Probe.create(model, sampleCount);
  } catch (error) {
    model.close();
    throw error;
  }
}

/** Tiles of units that are shown at a time. */
export const unitsAtATime = 100;

/** A model in training, and what looks at it meanwhile. */
export class Run {
  /** How a row is shown, [height, width]: rows that are no images as a strip. */
  readonly shape: readonly [number, number];
  readonly range: GreyRange;
  readonly #looks = new Set<Promise<void>>();

  private constructor(
    readonly model: Model,
    readonly trainer: Trainer,
    readonly dataset: Dataset,
    /** For the rows that are shown. */
    readonly samples: Probe,
    /** For the drawing. */
    readonly drawing: Probe,
    readonly units: UnitPictures,
  ) {
    this.shape = imageShape(dataset) ?? [1, dataset.in_dims];
    this.range = inputRange(dataset);
  }

  /**
   * Takes a trainer, a probe for the samples and their model over: they are closed with the run, or where this fails.
   * @throws EngineError.
   */
  static async create(samples: Probe, training: Promise<Trainer>, dataset: Dataset): Promise<Run> {
    const { model } = samples;
    const parts = [
      training,
      Probe.create(model),
      UnitPictures.create(model, Math.min(model.hidden, unitsAtATime)),
    ] as const;
    try {
      const [trainer, drawing, units] = await Promise.all(parts);
      return new Run(model, trainer, dataset, samples, drawing, units);
    } catch (error) {
      for (const part of await Promise.allSettled(parts)) {
        if (part.status === 'fulfilled') {
          part.value.close();
        }
      }
      samples.close();
      model.close();
      throw error;
    }
  }

  get gpu(): Gpu {
    return this.model.gpu;
  }

  /** Looks at the model, which stays on the device until this has ended. */
  async look(work: (run: Run) => Promise<void> | void): Promise<void> {
    const look = Promise.resolve(work(this));
    this.#looks.add(look);
    try {
      await look;
    } finally {
      this.#looks.delete(look);
    }
  }

  /** Frees everything, once nobody is looking. Training has ended before. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#looks);
    for (const part of [this.trainer, this.samples, this.drawing, this.units, this.model]) {
      part.close();
    }
  }
}
