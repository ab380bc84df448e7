import { describe, expect, test } from 'vitest';
import { parseTrainConfig, type TrainOptions, trainOptions } from '../../../src/sae/config.js';
import { ConfigError } from '../../../src/sae/errors.js';
import { Model } from '../../../src/sae/model/model.js';
import { type SparsityName, sparsityNames, sparsityOf } from '../../../src/sae/sparsity/index.js';
import { evaluate } from '../../../src/sae/training/evaluate.js';
import { LossHistory } from '../../../src/sae/training/loss-history.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { penalties } from '../../reference/sparsity.js';
import { ReferenceTrainer } from '../../reference/trainer.js';
import '../../support/compare.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, rowOrders, toReference } from '../../support/models.js';

const gpu = await gpuOfFile();
// Widths that are no multiples of 4: what lies in the padding must not count.
const sizes = { in_dims: 9, h_dims: [6, 13], activation: 'relu' as const };
const dataset = byteRows(23, 9, 1);

describe.each(sparsityNames)('%s', (sparsity) => {
  const options = { sparsity, lr: 0.01, batch_size: 5, epochs: 3, seed: 5 } as TrainOptions<SparsityName>;

  test('three epochs, with its defaults, are the reference’s; so are held-out figures', async () => {
    const config = parseTrainConfig<SparsityName>(options);
    // Not every kind can have several layers.
    const small = { ...sizes, h_dims: sparsity === 'matryoshka' ? [13] : sizes.h_dims };
    const model = await Model.create(gpu, { ...small, h_dims: [...small.h_dims] }, 5);
    const trainer = await Trainer.create<SparsityName>(model, dataset, options);
    const start = toReference(await model.parameters());
    const reference = new ReferenceTrainer({ ...small, ...config }, start);
    const orders = rowOrders(dataset.rows, 5);
    const names = sparsityOf(sparsity).terms.map(({ name }) => name);
    const history = new LossHistory<SparsityName>();
    for await (const { steps, epoch } of trainer.steps({ count: 15 })) {
      history.add(steps);
      if (epoch) {
        const expected = reference.epoch(dataset, orders.next().value!, 5);
        const figures = ['loss', 'mse', 'explained_variance', ...names, 'active', 'dead', 'dense'];
        expect(Object.keys(epoch)).toEqual(['epoch', ...figures, 'samples_per_second', 'seconds']);
        const values = (metrics: object) => figures.map((name) => metrics[name as keyof typeof metrics]);
        expect(values(epoch)).toBeCloseTensor(values(expected), 1e-5);
      }
    }
    for (const [name, { data }] of await model.parameters()) {
      expect(data, name).toBeCloseTensor(start[name].data, 1e-4);
    }
    const live = Object.keys(sparsityOf(sparsity).live);
    const columns = [
      'step',
      'epoch',
      'loss',
      'mse',
      'explained_variance',
      ...names,
      'active',
      ...live,
      'steps',
    ];
    expect(history.toCsv().split('\n')[0]).toBe(columns.join());
    // A reference that learns nothing.
    const still = new ReferenceTrainer({ ...small, ...config, lr: 0, trained: true }, start);
    const held = await evaluate<SparsityName>(model, dataset, options);
    const expected = still.epoch(dataset, [...Array(23).keys()], 5);
    expect(Object.keys(held)).toEqual([
      'loss',
      'mse',
      'explained_variance',
      ...names,
      'active',
      'dead',
      'dense',
    ]);
    expect([held.loss, held.mse]).toBeCloseTensor([expected.loss, expected.mse], 1e-4);
    expect(held.explained_variance).toBeCloseTo(expected.explained_variance, 4);
    trainer.close();
    model.close();
  });

  test('has a reference, a line about itself, and weights that are live options', () => {
    const { summary, terms, live } = sparsityOf(sparsity);
    expect(penalties).toHaveProperty(sparsity);
    expect(summary).not.toBe('');
    expect(terms.length).toBeLessThanOrEqual(4);
    for (const { weight } of terms) {
      expect([...Object.keys(live), 1, undefined]).toContain(weight);
    }
  });

  test('refuses the options of other kinds', () => {
    for (const { name, owners, standard } of trainOptions) {
      if (owners?.[0].choice === 'sparsity' && !owners.some(({ value }) => value === sparsity)) {
        const foreign = { sparsity, [name]: standard ?? 1 } as TrainOptions<SparsityName>;
        expect(() => parseTrainConfig(foreign)).toThrow(ConfigError);
        expect(() => parseTrainConfig(foreign)).toThrow(`, and sparsity is ${sparsity}. Leave it out.`);
      }
    }
  });
});

test('an option of several kinds is described alike in all, and live in all or none', () => {
  for (const { name, owners = [], description, label, kind } of trainOptions) {
    for (const { choice, value, option } of owners) {
      expect(option, name).toMatchObject({ description, label });
      // A whole number may have a fraction in another kind.
      const bare = (of: string) => (of === 'whole' ? 'number' : of);
      expect(bare(option.kind), name).toBe(bare(kind));
      expect(choice, name).toBe(owners[0].choice);
      if (choice === 'sparsity') {
        const isLive = (sparsity: string) => name in sparsityOf(sparsity as SparsityName).live;
        expect(isLive(value)).toBe(isLive(owners[0].value));
      }
    }
  }
});

test('a kind that does not exist is refused with those that do', () => {
  const options = { sparsity: 'some' } as unknown as TrainOptions;
  const names = sparsityNames.length > 1 ? sparsityNames.slice(0, -1).join(', ') : '';
  expect(() => parseTrainConfig(options)).toThrow(
    new ConfigError(`sparsity must be ${names} or ${sparsityNames.at(-1)}, and is "some".`),
  );
});
