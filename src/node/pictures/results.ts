import { join } from 'node:path';
import { type Dataset, normalizedRows, pickRows } from '../../sae/dataset.js';
import type { EpochMetrics } from '../../sae/metrics.js';
import type { Model } from '../../sae/model.js';
import { imageShape } from '../../sae/pictures.js';
import { sampleRows } from '../../sae/random.js';
import { writeFeatures } from './features.js';
import { writePlot } from './plot.js';

/** What pictures were drawn, and why others were not, in a sentence. */
export interface Pictures {
  readonly files: string[];
  readonly skipped?: string;
}

/**
 * Draws `plot.png` (some rows, chosen by `seed`, above their reconstructions) and `features.png` into a folder.
 * @throws DataError where the rows are not as wide as the model's input; EngineError where a file cannot be written.
 */
export async function drawModel(
  model: Model,
  dataset: Dataset,
  { images_dir, num_samples, seed }: { images_dir: string; num_samples: number; seed: number },
): Promise<Pictures> {
  const image_shape = imageShape(dataset);
  if (!image_shape) {
    const skipped =
      `Rows of ${dataset.in_dims} values are no images: the data has no shape, and ${dataset.in_dims} is no square. ` +
      'plot.png and features.png are skipped.';
    return { files: [], skipped };
  }
  const plot = join(images_dir, 'plot.png');
  const samples = pickRows(dataset, sampleRows(dataset.rows, num_samples, seed));
  const reconstructions = await model.reconstruct(samples);
  const originals = normalizedRows(samples);
  await writePlot(plot, { originals, reconstructions, count: samples.rows, image_shape });

  const features = join(images_dir, 'features.png');
  const { weight, outputs } = model.layers[0];
  await writeFeatures(features, { weight: await weight.read(), units: outputs, image_shape });
  return { files: [plot, features] };
}

/**
 * Draws `loss.png` into a folder, and gives its path.
 * @throws DataError where there is no epoch; EngineError where the file cannot be written.
 */
export async function drawLoss(
  epochs: readonly EpochMetrics[],
  sparsity_lambda: number,
  images_dir: string,
): Promise<string> {
  // The chart library takes half a second to load: nobody should wait for it who draws no curve.
  const { writeLossCurve } = await import('./loss.js');
  const file = join(images_dir, 'loss.png');
  await writeLossCurve(file, epochs, sparsity_lambda);
  return file;
}
