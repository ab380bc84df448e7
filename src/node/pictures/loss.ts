import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { DataError } from '../../sae/errors.js';
import type { ChartEpoch, ChartTraining } from './chart-training.js';
import { loadSharp } from './fonts.js';
import { lossChart } from './loss-chart.js';
import { savePicture } from './save.js';

use([SVGRenderer]);

/** In CSS pixels; the PNG has twice as many along each side. */
const size = { width: 800, height: 450 };
const density = 2;

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
  const sharp = await loadSharp();
  const svg = Buffer.from(lossSvg(epochs, training));
  await savePicture(
    file,
    await sharp(svg, { density: density * 72 })
      .png({ palette: true })
      .toBuffer(),
  );
}

/** The chart as an SVG document of 800 by 450 pixels. */
export function lossSvg(epochs: readonly ChartEpoch[], training: ChartTraining): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...size });
  try {
    chart.setOption(lossChart(epochs, training));
    return chart.renderToSVGString();
  } finally {
    // Without this the chart would keep the process alive.
    chart.dispose();
  }
}
