import { readMnist10k } from '../../src/node/data/mnist.js';
import { openGpu } from '../../src/node/index.js';
import { Model } from '../../src/sae/model/model.js';
import { Trainer } from '../../src/sae/training/trainer.js';
import { parted, type Settings } from '../../src/web/settings/settings.js';

/** The losses of the first steps on the 10,000 digits with a page's settings, in Node. */
export async function firstLosses(settings: Settings, count: number): Promise<number[]> {
  const gpu = await openGpu();
  try {
    const { model: sizes, training } = parted(settings);
    const rows = await readMnist10k();
    const model = await Model.create(gpu, sizes, training, rows);
    const trainer = await Trainer.create(model, rows, training);
    const losses: number[] = [];
    for await (const { steps } of trainer.steps({ count })) {
      losses.push(...steps.map(({ loss }) => loss));
    }
    return losses;
  } finally {
    gpu.close();
  }
}
