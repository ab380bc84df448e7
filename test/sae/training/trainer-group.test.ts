import { describe, expect, test } from 'vitest';
import { parseModelConfig, type TrainOptions } from '../../../src/sae/config.js';
import { ConfigError, NonFiniteLossError } from '../../../src/sae/errors.js';
import { Model } from '../../../src/sae/model/model.js';
import { rowSource } from '../../../src/sae/rows/source.js';
import { type SparsityName, sparsityNames } from '../../../src/sae/sparsity/index.js';
import type { EpochMetrics, StepMetrics } from '../../../src/sae/training/metrics.js';
import type { Placement } from '../../../src/sae/training/placement.js';
import type { Snapshot } from '../../../src/sae/training/snapshot.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { type Member, TrainerGroup } from '../../../src/sae/training/trainer-group.js';
import { gpuOfFile } from '../../support/device.js';
import { long } from '../../support/long.js';
import { byteRows, sameParameters } from '../../support/models.js';

const gpu = await gpuOfFile();

const dataset = byteRows(47, 9, 1);
const common = { batch_size: 5, seed: 7, epochs: 4, lr: 0.01 };
const withK = { k: 3 };
const kinds: Readonly<Record<SparsityName, object>> = {
  none: {},
  kl: { sparsity_target: 0.05 },
  l1: {},
  topk: withK,
  batchtopk: withK,
  matryoshka: { ...withK, matryoshka: [8, 16] },
  jumprelu: {},
};
/** Several widths and lengths, and one that gives latents new weights on its way. */
const all: TrainOptions<SparsityName>[] = [
  ...sparsityNames.map(
    (sparsity) => ({ ...common, ...kinds[sparsity], sparsity }) as TrainOptions<SparsityName>,
  ),
  { ...common, sparsity: 'l1', epochs: 2 },
  { ...common, sparsity: 'l1', revive: 'resample', resample_every: 11 } as TrainOptions<SparsityName>,
];

const widthOf = ({ sparsity }: TrainOptions<SparsityName>) => (sparsity === 'kl' ? [12, 6] : [16]);

async function members(which = all): Promise<Member[]> {
  const made: Member[] = [];
  for (const options of which) {
    const config = parseModelConfig({ in_dims: 9, h_dims: widthOf(options) }, options.sparsity);
    made.push({ model: await Model.create<SparsityName>(gpu, config, options), options });
  }
  return made;
}

/** All that came of a model, without times. */
interface Told {
  readonly steps: StepMetrics<SparsityName>[];
  readonly epochs: Partial<EpochMetrics<SparsityName>>[];
}

const untimed = ({ samples_per_second: _, seconds: _s, ...figures }: EpochMetrics<SparsityName>) => figures;

async function alone({ model, options }: Member, rows: typeof dataset, placement?: Placement): Promise<Told> {
  const trainer = await Trainer.create<SparsityName>(model, rows, options, placement);
  const told: Told = { steps: [], epochs: [] };
  for await (const { steps, epoch } of trainer.steps({ count: trainer.runSteps })) {
    told.steps.push(...steps);
    if (epoch) told.epochs.push(untimed(epoch));
  }
  trainer.close();
  return told;
}

/** Adds what a group tells, by trainer. */
async function follow(
  group: TrainerGroup,
  told: Told[],
  options: Parameters<TrainerGroup['steps']>[0] = {},
  after?: () => void,
): Promise<void> {
  const { trainers } = group;
  for await (const { trainer, told: of } of group.steps(options)) {
    const own = told[trainers.indexOf(trainer)];
    own.steps.push(...of.steps);
    if (of.epoch) own.epochs.push(untimed(of.epoch));
    after?.();
  }
}

const nothing = (count: number): Told[] => Array.from({ length: count }, () => ({ steps: [], epochs: [] }));

const placements: [string, Placement][] = [
  ['one window', {}],
  ['two windows in turn', { window_rows: 10 }],
];
describe.each(long ? placements : placements.slice(1))('models side by side, in %s', (_, placement) => {
  test('come to the same bits as each alone, of every kind of sparsity', async () => {
    const single = await members();
    const expected: Told[] = [];
    for (const member of single) expected.push(await alone(member, dataset, placement));
    const together = await members();
    // As it comes from a file, each of whose rows is read once for all of them.
    const source = rowSource(dataset);
    let read = 0;
    const counted = {
      ...source,
      read: (first: number, end: number) => {
        read += end - first;
        return source.read(first, end);
      },
    };
    const group = await TrainerGroup.create(counted, together, placement);
    const told = nothing(together.length);
    await follow(group, told);
    const epochs = 'window_rows' in placement ? 4 : 1;
    // What latents get new weights from is read besides.
    const sampled = 3 * dataset.rows;
    expect(read).toBeLessThanOrEqual((epochs + 1) * dataset.rows + sampled);
    expect(told).toEqual(expected);
    for (const [i, { model }] of together.entries()) {
      expect(sameParameters(await model.parameters(), await single[i].model.parameters())).toBe(true);
      model.close();
      single[i].model.close();
    }
    group.close();
  });

  test('go on from snapshots in the middle of an epoch, after a signal', async () => {
    const whole = await members();
    const expected = nothing(whole.length);
    const group = await TrainerGroup.create(dataset, whole, placement);
    await follow(group, expected);
    group.close();

    const begun = await members();
    const first = await TrainerGroup.create(dataset, begun, placement);
    const told = nothing(begun.length);
    const stopping = new AbortController();
    let submits = 0;
    await follow(first, told, { signal: stopping.signal, until: 15 }, () => {
      if (++submits === 25) stopping.abort();
    });
    const dones = first.trainers.map(({ done }) => done);
    expect(new Set(dones).size).toBe(1);
    expect(dones[0]).toBeGreaterThan(0);
    const snapshots: Snapshot<SparsityName>[] = [];
    for (const trainer of first.trainers) snapshots.push(await trainer.snapshot());
    first.close();
    for (const { model } of begun) model.close();

    const second = await TrainerGroup.resume(gpu, dataset, snapshots);
    await follow(second, told);
    expect(told).toEqual(expected);
    for (const [i, { model }] of second.trainers.entries()) {
      expect(sameParameters(await model.parameters(), await whole[i].model.parameters())).toBe(true);
      model.close();
      whole[i].model.close();
    }
    second.close();
  });
});

test('one that fails stops, and the others go on', async () => {
  const which = [all[2], { ...all[2], lr: 1e30 } as TrainOptions<SparsityName>, all[3]];
  const together = await members(which);
  const single = await members([which[0], which[2]]);
  const expected = [await alone(single[0], dataset), await alone(single[1], dataset)];
  const group = await TrainerGroup.create(dataset, together);
  const told = nothing(3);
  await follow(group, told);
  const [good, bad, other] = group.trainers;
  expect(bad.failure).toBeInstanceOf(NonFiniteLossError);
  expect(bad.done).toBeLessThan(bad.runSteps);
  expect([good.failure, other.failure]).toEqual([undefined, undefined]);
  expect([told[0], told[2]]).toEqual(expected);
  group.close();
  for (const { model } of [...together, ...single]) model.close();
});

test('one that is dropped ends, and the others go on', async () => {
  const which = [all[2], all[3]];
  const [single] = await members([which[1]]);
  const expected = await alone(single, dataset);
  const together = await members(which);
  const group = await TrainerGroup.create(dataset, together);
  const told = nothing(2);
  await follow(group, told, { until: 12 });
  expect(group.trainers.map(({ done }) => done)).toEqual([12, 12]);
  group.drop(group.trainers[0]);
  await follow(group, [told[1]]);
  expect(told[1]).toEqual(expected);
  expect(told[0].steps).toHaveLength(12);
  group.close();
  for (const { model } of [...together, single]) model.close();
});

test('those that do not share batches are refused', async () => {
  const which = [all[2], { ...all[3], seed: 8 } as TrainOptions<SparsityName>];
  const together = await members(which);
  const creating = TrainerGroup.create(dataset, together);
  await expect(creating).rejects.toThrow(ConfigError);
  await expect(creating).rejects.toThrow('seed is one for all; it is 7 and 8');
  for (const { model } of together) model.close();
});
