import { DataError } from '../../sae/errors.js';
import { chartSvg, writeChart } from './chart.js';
import type { ChartEpoch, ChartTraining } from './chart-training.js';
import { lossChart } from './loss-chart.js';

/**
 * Writes a PNG of 1600 by 900 pixels: `loss`, `mse` and each weighted term by epoch.
 * @throws DataError when there is no epoch; EngineError when the file cannot be written.
 */
export async function writeLossCurve(
  file: string,
  epochs: readonly ChartEpoch[],
  training: ChartTraining,
): Promise<void> {
  if (epochs.length === 0) {
    throw new DataError('There is no epoch to draw a loss curve of. Train for at least one.');
  }
  await writeChart(file, lossChart(epochs, training));
}

/** The chart as an SVG document of 800 by 450 pixels. */
export function lossSvg(epochs: readonly ChartEpoch[], training: ChartTraining): string {
  return chartSvg(lossChart(epochs, training));
}
