import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { answers } from '../../../src/sae/check/answers.js';
import type { Outcome } from '../../../src/sae/check/check.js';
import {
  comparedOutcomes,
  type KnownTraining,
  knownRows,
  knownTrainings,
  told,
} from '../../../src/sae/check/trainings.js';
import { parseTrainConfig } from '../../../src/sae/config.js';
import { Model } from '../../../src/sae/model/model.js';
import type { SparsityName } from '../../../src/sae/sparsity/index.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { forward } from '../../reference/autoencoder.js';
import { gatherRows } from '../../reference/gather.js';
import { seededRandom } from '../../reference/random.js';
import { ReferenceTrainer } from '../../reference/trainer.js';
import { gpuOfFile } from '../../support/device.js';
import { rowOrders, toReference } from '../../support/models.js';

const gpu = await gpuOfFile();

/** What a training comes to in double. @param noise of each initial weight, relative to it. */
async function reference({ model: sizes, options }: KnownTraining, noise = 0): Promise<Outcome> {
  const config = parseTrainConfig<SparsityName>(options);
  const model = await Model.create<SparsityName>(gpu, sizes, 5);
  const dataset = knownRows(sizes.in_dims);
  // A threshold has its first value once training begins.
  const trainer = await Trainer.create<SparsityName>(model, dataset, options);
  const parameters = toReference(await model.parameters());
  const { h_dims, activation, pre_bias, tied } = model.config;
  const random = seededRandom(1);
  for (const { data } of Object.values(parameters)) {
    for (let i = 0; i < data.length; i++) data[i] *= 1 + noise * (2 * random() - 1);
  }
  const known = new ReferenceTrainer(
    { in_dims: dataset.in_dims, h_dims, activation, pre_bias, tied, ...config } as never,
    parameters,
  );
  const orders = rowOrders(dataset.rows, config.seed);
  const losses: number[] = [];
  const step = known.step.bind(known);
  known.step = (x) => {
    const done = step(x);
    losses.push(done.losses.loss);
    return done;
  };
  for (let epoch = 0; epoch < config.epochs; epoch++) {
    known.epoch(dataset, orders.next().value!, config.batch_size);
  }
  trainer.close();
  model.close();
  const x = gatherRows(
    dataset.data,
    dataset.in_dims,
    [...Array(dataset.rows).keys()],
    dataset.normalization as never,
  );
  const { output } = forward({ ...known.config, trained: true }, parameters, x);
  const figures = Object.entries(parameters).map(([name, { data }]) => [name, told(data)]);
  return { losses, figures: { ...Object.fromEntries(figures), reconstructions: told(output) } };
}

/** `SAE_ANSWERS=write` writes what the reference gives now. */
test.runIf(process.env.SAE_ANSWERS === 'write')('are written', async () => {
  const all: Record<string, Outcome> = {};
  for (const training of knownTrainings) all[training.name] = await reference(training);
  const json = JSON.stringify(all, (_, value) =>
    typeof value === 'number' ? Number(value.toPrecision(9)) : value,
  );
  writeFileSync(
    new URL('../../../src/sae/check/answers.ts', import.meta.url),
    `import type { Outcome } from './check.js';

/**
 * What the trainings of \`trainings.ts\` come to, by test/reference, in double. \`SAE_ANSWERS=write npx vitest run test/sae/check/answers.test.ts\`
 * writes this file, and without that compares it.
 */
export const answers: Readonly<Record<string, Outcome>> = ${json};
`,
  );
});

describe.each(knownTrainings)('the answer of $name', (training) => {
  test('is the reference’s', async () => {
    const expected = answers[training.name];
    for (const { what, error } of comparedOutcomes(await reference(training), expected)) {
      expect(error, what).toBeLessThan(1e-8);
    }
  });

  test('hardly changes where values are off by a few roundings: a device that may round differently passes', async () => {
    for (const { what, error, bound } of comparedOutcomes(
      await reference(training, 2e-7),
      answers[training.name],
    )) {
      expect(error, what).toBeLessThan(bound / 2);
    }
  });
});
