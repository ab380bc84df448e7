import {
  type Gpu,
  type GreyRange,
  type ImageShape,
  imageShape,
  inputRange,
  LatentPictures,
  type LiveSettings,
  Model,
  type Placement,
  Probe,
  parseTrainConfig,
  prepareModel,
  type Rows,
  rowSource,
  type SavedModel,
  Scope,
  type Snapshot,
  type SparsityName,
  Trainer,
  type TrainOptions,
} from '../../sae/index.js';
import { mostMemory } from '../browser/memory.js';
import { parted, type Settings } from '../settings/settings.js';
import type { ShownRows } from './shown-rows.js';

/** Rows that are shown with their reconstructions. */
export const sampleCount = 10;

/** Latents whose tiles are shown at a time. */
export const latentsAtATime = 100;

/** Latents whose directions are drawn at a time: those, and the ones of the row that is looked into. */
export const mostPictures = 132;

/** Rows as they are trained on, and how many each of two windows has. */
function trainedOn({ all, ...shown }: ShownRows): [Rows, Placement] {
  if (!all) return [shown, {}];
  const { in_dims, type } = rowSource(all);
  const rowBytes = in_dims * (type === 'u8' ? 1 : 4);
  return [all, { window_rows: Math.max(1, Math.floor(mostMemory / 4 / rowBytes)) }];
}

/** A model in training, and what the views use to show it. */
export class Run {
  /** How a row is shown: as a strip if it is not an image. */
  readonly shape: ImageShape;
  readonly range: GreyRange;
  readonly #uses = new Set<Promise<void>>();

  private constructor(
    readonly model: Model,
    readonly trainer: Trainer<SparsityName>,
    /** It may get other labels. */
    public dataset: ShownRows,
    /** For the rows that are shown. */
    readonly samples: Probe,
    /** For the drawing. */
    readonly drawing: Probe,
    readonly latents: LatentPictures,
    readonly scope: Scope,
  ) {
    this.shape = imageShape(dataset) ?? [1, dataset.in_dims];
    this.range = inputRange(dataset);
  }

  /**
   * @param scope owns the probe for the samples and their model, and is the run's from now on.
   * @throws EngineError.
   */
  static async create(
    scope: Scope,
    samples: Probe,
    training: Promise<Trainer<SparsityName>>,
    dataset: ShownRows,
  ): Promise<Run> {
    const { model } = samples;
    const parts = [
      training.then((trainer) => scope.use(trainer)),
      // Of one row only, but as large as the samples' probe: its kernels are compiled already.
      Probe.create(model, sampleCount).then((drawing) => scope.use(drawing)),
      LatentPictures.create(model, Math.min(model.hidden, mostPictures)).then((made) => scope.use(made)),
    ] as const;
    // If one fails, the scope must own what the others made.
    await Promise.allSettled(parts);
    const [trainer, drawing, latents] = await Promise.all(parts);
    return new Run(model, trainer, dataset, samples, drawing, latents, scope);
  }

  get gpu(): Gpu {
    return this.model.gpu;
  }

  /** Runs work on the model, which stays on the device until the work has ended. */
  async use(work: (run: Run) => Promise<void> | void): Promise<void> {
    const done = Promise.resolve(work(this));
    this.#uses.add(done);
    try {
      await done;
    } finally {
      this.#uses.delete(done);
    }
  }

  /** Frees everything, once no work uses it. Training must have ended. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#uses);
    this.scope.destroy();
  }
}

/** A run, and the copy on the host to go back to, which is of the moment when the run was made, however late it is there. */
export interface RunAndSnapshot {
  readonly run: Run;
  readonly snapshot: Promise<Snapshot<SparsityName>>;
}

/**
 * Makes a run of a new model, or of a saved one.
 * @param prepared can show the model before the training step is compiled, which takes longest.
 * @throws EngineError, and whatever `prepared` throws.
 */
export function buildRun(
  gpu: Gpu,
  settings: Settings,
  dataset: ShownRows,
  saved: SavedModel | undefined,
  prepared: (samples: Probe, dataset: ShownRows) => Promise<void>,
): Promise<RunAndSnapshot> {
  return Scope.building(async (scope) => {
    const { model: sizes, training: options } = parted(settings);
    const model = scope.use(
      saved
        ? await Model.from(gpu, saved.config, saved.parameters)
        : await Model.create(gpu, { ...sizes, in_dims: dataset.in_dims }, options, dataset),
    );
    model.checkWidth(dataset);
    // The probe is recorded before training begins, which would do this too late for it.
    await prepareModel(model, parseTrainConfig(options as TrainOptions<SparsityName>));
    const samples = scope.use(await Probe.create(model, sampleCount));
    await prepared(samples, dataset);
    const [rows, placement] = trainedOn(dataset);
    const training = Trainer.create(model, rows, options, placement);
    const run = await Run.create(scope, samples, training, dataset);
    return { run, snapshot: run.trainer.snapshot() };
  });
}

/** Makes a run that goes on from a snapshot, with the current settings. */
export function resumeRun(
  gpu: Gpu,
  dataset: ShownRows,
  snapshot: Snapshot<SparsityName>,
  settings: LiveSettings<SparsityName>,
): Promise<Run> {
  return Scope.building(async (scope) => {
    const resumed = await Trainer.resume(gpu, trainedOn(dataset)[0], snapshot);
    scope.use(resumed.model);
    scope.use(resumed);
    const samples = scope.use(await Probe.create(resumed.model, sampleCount));
    const run = await Run.create(scope, samples, Promise.resolve(resumed), dataset);
    resumed.change(settings);
    return run;
  });
}
