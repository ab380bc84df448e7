import { join } from 'node:path';
import { decoderDirections } from '../../sae/insight/evaluation/directions.js';
import { latentDensities } from '../../sae/insight/latents.js';
import { imageShape, shownReconstructions, shownRows } from '../../sae/insight/pictures.js';
import type { Model } from '../../sae/model/model.js';
import { sampleRows } from '../../sae/model/random.js';
import { takeRows } from '../../sae/rows/blocks.js';
import { normalizedRows } from '../../sae/rows/dataset.js';
import type { Rows } from '../../sae/rows/source.js';
import { checkFile } from '../folder.js';
import type { ChartEpoch, ChartTraining } from './chart-training.js';
import { writeDrawings } from './drawings.js';
import { writeFeatures } from './features.js';
import { loadSharp } from './fonts.js';
import { writePlot } from './plot.js';
import { isOurPicture } from './save.js';

/** The pictures that were drawn, and a message if others were not. */
export interface Pictures {
  readonly files: string[];
  readonly skipped?: string;
}

/** The options of `drawModel`. */
export interface DrawOptions {
  readonly images_dir: string;
  readonly num_samples: number;
  readonly seed: number;
  /** What `features.png` shows: each latent's decoder direction, or the weights of the first encoder layer. */
  readonly features?: FeaturesKind;
  /** The rows on which the latents' densities are measured; by default those that are drawn. */
  readonly measured_on?: Rows;
}

export const featuresKinds = ['decoder', 'encoder'] as const;
export type FeaturesKind = (typeof featuresKinds)[number];

/** Most rows on which densities are measured; of more rows, the seed chooses a sample. */
const measuredRows = 10_000;

/** The pictures of a run. */
export const pictureNames = ['plot.png', 'features.png', 'loss.png'] as const;

/**
 * Checks whether pictures can be written into a folder later, and loads what every one needs, before a run that ends
 * with pictures.
 * @throws EngineError if sharp cannot be loaded, or one of the files cannot be written.
 */
export async function preparePictures(images_dir: string): Promise<void> {
  for (const name of pictureNames) {
    await checkFile(join(images_dir, name), isOurPicture);
  }
  await loadSharp(images_dir);
}

/** The message for rows without an `imageShape`, which are not drawn. */
export function whyNoImages({ in_dims }: Pick<Rows, 'in_dims'>): string {
  return (
    `It is not known whether rows of ${in_dims} values are images, so plot.png and features.png are not drawn. ` +
    `If they are, pass --image_shape H,W with H * W = ${in_dims}${in_dims % 3 === 0 ? `, or H,W,3 with H * W = ${in_dims / 3}` : ''}.`
  );
}

/**
 * Draws `plot.png` (some rows, chosen by `seed`, above their reconstructions) and `features.png` into a folder.
 * @throws DataError if the rows are not as wide as the model's input; EngineError if a file cannot be written.
 */
export async function drawModel(
  model: Model,
  dataset: Rows,
  { images_dir, num_samples, seed, features = 'decoder', measured_on = dataset }: DrawOptions,
): Promise<Pictures> {
  const image_shape = imageShape(dataset);
  if (!image_shape) {
    return { files: [], skipped: whyNoImages(dataset) };
  }
  const plot = join(images_dir, 'plot.png');
  const samples = await takeRows(dataset, sampleRows(dataset.rows, num_samples, seed));
  const reconstructions = await model.reconstruct(samples);
  await writePlot(plot, {
    originals: normalizedRows(samples),
    reconstructions,
    shown: [shownRows(samples), shownReconstructions(reconstructions, samples)],
    count: samples.rows,
    image_shape,
  });

  const file = join(images_dir, 'features.png');
  if (features === 'encoder') {
    const { weight, outputs } = model.layers[0];
    await writeFeatures(file, { weight: await weight.read(), count: outputs, image_shape });
  } else {
    const { rows } = measured_on;
    const chosen =
      rows > measuredRows ? sampleRows(rows, measuredRows, seed) : Array.from({ length: rows }, (_, i) => i);
    const densities = await latentDensities(model, measured_on, chosen);
    const drawings = await decoderDirections(model);
    await writeDrawings(file, { drawings, densities, rows: chosen.length, rowsInAll: rows, image_shape });
  }
  return { files: [plot, file] };
}

/**
 * Draws `loss.png` into a folder, and returns its path.
 * @param training the training's configuration.
 * @throws DataError if there is no epoch; EngineError if the file cannot be written.
 */
export async function drawLoss(
  epochs: readonly ChartEpoch[],
  training: ChartTraining,
  images_dir: string,
): Promise<string> {
  // Imported here, since the chart library takes half a second to load.
  const { writeLossCurve } = await import('./loss.js');
  const file = join(images_dir, 'loss.png');
  await writeLossCurve(file, epochs, training);
  return file;
}
