import { describe, expect, test } from 'vitest';
import { EngineError } from '../../../src/gpu/errors.js';
import type { LiveSettings, ModelOptions, TrainOptions } from '../../../src/sae/config.js';
import { ConfigError, NonFiniteLossError } from '../../../src/sae/errors.js';
import { Model } from '../../../src/sae/model/model.js';
import type { Parameters } from '../../../src/sae/model/parameter.js';
import type { EpochMetrics, StepMetrics } from '../../../src/sae/training/metrics.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import type { TrainedSteps } from '../../../src/sae/training/training-log.js';
import type { Losses } from '../../reference/autoencoder.js';
import { gatherRows } from '../../reference/gather.js';
import { ReferenceTrainer } from '../../reference/trainer.js';
import '../../support/compare.js';
import { gpuOfFile } from '../../support/device.js';
import {
  byteRows,
  floatRows,
  rowOrders,
  sameParameters,
  toReference,
  trained,
} from '../../support/models.js';

const gpu = await gpuOfFile();

const small: ModelOptions = { in_dims: 9, h_dims: [6, 4] };
const dataset = byteRows(23, 9, 1);
// Five steps an epoch, the last one of three rows.
const options = {
  batch_size: 5,
  lr: 0.01,
  sparsity_lambda: 0.2,
  sparsity_target: 0.05,
  seed: 7,
} satisfies TrainOptions;

/** Lends a new model and its trainer. */
async function training<T>(
  use: (trainer: Trainer, model: Model) => Promise<T>,
  { rows = dataset, ...changed }: TrainOptions & { rows?: typeof dataset } = {},
): Promise<T> {
  const model = await Model.create(gpu, small, options.seed);
  const trainer = await Trainer.create(model, rows, { ...options, ...changed });
  try {
    return await use(trainer, model);
  } finally {
    trainer.close();
    model.close();
    expect(gpu.allocatedBytes).toBe(0);
  }
}

async function all(generator: AsyncGenerator<TrainedSteps>): Promise<TrainedSteps[]> {
  const blocks: TrainedSteps[] = [];
  for await (const block of generator) {
    blocks.push(block);
  }
  return blocks;
}

const stepsOf = (blocks: readonly TrainedSteps[]) => blocks.flatMap(({ steps }) => steps);
const epochsOf = (blocks: readonly TrainedSteps[]) => blocks.flatMap(({ epoch }) => epoch ?? []);
const figures = (epochs: readonly EpochMetrics[]) =>
  epochs.map(({ epoch, loss, mse, kl, active, dead }) => ({ epoch, loss, mse, kl, active, dead }));

/** The same training in double precision, each step with the settings that it is said to have had. */
function replay(start: Parameters, steps: readonly StepMetrics[], rows = dataset) {
  const config = { in_dims: 9, h_dims: [6, 4], activation: 'relu' as const, ...options };
  const parameters = toReference(start);
  const reference = new ReferenceTrainer(config, parameters);
  const orders = rowOrders(rows.rows, options.seed);
  const batches = Math.ceil(rows.rows / options.batch_size);
  let order: Uint32Array = new Uint32Array();
  const losses = steps.map(({ lr, sparsity_lambda, sparsity_target }, i) => {
    if (i % batches === 0) {
      order = orders.next().value!.slice();
    }
    const first = (i % batches) * options.batch_size;
    const batch = order.slice(first, first + options.batch_size);
    Object.assign(config, { lr, sparsity_lambda, sparsity_target });
    return reference.step(gatherRows(rows.data, 9, batch, rows.normalization)).losses;
  });
  return { losses, parameters };
}

async function expectReference(
  start: Parameters,
  blocks: readonly TrainedSteps[],
  model: Model,
  rows = dataset,
  tolerance = 1e-5,
) {
  const steps = stepsOf(blocks);
  const { losses, parameters } = replay(start, steps, rows);
  const batches = Math.ceil(rows.rows / options.batch_size);
  for (const [i, { step, epoch, loss, mse, kl, active }] of steps.entries()) {
    expect([step, epoch]).toEqual([i + 1, Math.floor(i / batches) + 1]);
    expect([loss, mse], `step ${step}`).toBeCloseTensor([losses[i].loss, losses[i].mse], tolerance);
    // WGSL allows a logarithm an absolute error of 2^-21.
    expect(Math.abs(kl - losses[i].terms.kl)).toBeLessThan(tolerance * losses[i].terms.kl + 8 * 2 ** -21);
    expect(active).toBeCloseTo(losses[i].active, 9);
  }
  for (const { epoch, loss, mse, kl } of epochsOf(blocks)) {
    const own = losses.slice((epoch - 1) * batches, epoch * batches);
    const mean = (figure: (step: Losses) => number) =>
      own.reduce((sum, step) => sum + figure(step), 0) / batches;
    const expected = [mean((own) => own.loss), mean((own) => own.mse), mean(({ terms }) => terms.kl)];
    expect([loss, mse, kl]).toBeCloseTensor(expected, tolerance);
  }
  for (const [name, { data }] of await model.parameters()) {
    expect(data, name).toBeCloseTensor(parameters[name].data, 10 * tolerance);
  }
}

describe('steps', () => {
  test('are those of the reference, past the ends of epochs', async () => {
    await training(async (trainer, model) => {
      const start = await model.parameters();
      const blocks = await all(trainer.steps({ count: 18 }));
      expect(trainer.done).toBe(18);
      expect(trainer.leftInEpoch).toBe(2);
      expect(stepsOf(blocks)).toHaveLength(18);
      expect(blocks.length).toBeGreaterThan(3);
      expect(blocks.every(({ samples_per_second }) => samples_per_second > 0)).toBe(true);
      await expectReference(start, blocks, model);
    });
  });

  test.each<[string, (trainer: Trainer) => Promise<void>]>([
    [
      'one at a time',
      async (trainer) => {
        for (let i = 0; i < 15; i++) {
          expect(stepsOf(await all(trainer.steps({ count: 1 })))).toHaveLength(1);
        }
      },
    ],
    [
      'paused by a signal',
      async (trainer) => {
        while (trainer.done < 15) {
          const pause = new AbortController();
          for await (const { steps } of trainer.steps({ count: 15 - trainer.done, signal: pause.signal })) {
            expect(steps.length).toBeGreaterThan(0);
            pause.abort();
          }
        }
      },
    ],
    [
      'broken off while others are in flight',
      async (trainer) => {
        while (trainer.done < 15) {
          for await (const _ of trainer.steps({ count: 15 - trainer.done })) {
            break;
          }
        }
      },
    ],
    [
      'in the midst of which epochs go on',
      async (trainer) => {
        await all(trainer.steps({ count: 3 }));
        for await (const { epoch } of trainer.epochs()) {
          if (epoch === 2) {
            break;
          }
        }
        expect(trainer.done).toBe(10);
        await all(trainer.steps({ count: 5 }));
      },
    ],
  ])('%s: the same bits as epochs', async (_, run) => {
    const whole = await trained(gpu, small, dataset, { ...options, epochs: 3 });
    await training(async (trainer, model) => {
      await run(trainer);
      expect(sameParameters(whole.parameters, await model.parameters())).toBe(true);
    });
  });

  test('give the epochs that they end the same figures as epochs, also those begun by other steps', async () => {
    const whole = await trained(gpu, small, dataset, { ...options, epochs: 3 });
    await training(async (trainer) => {
      const blocks = await all(trainer.steps({ count: 15 }));
      expect(figures(epochsOf(blocks))).toEqual(figures(whole.epochs));
    });
    await training(
      async (trainer) => {
        await all(trainer.steps({ count: 7 }));
        const rest: EpochMetrics[] = [];
        for await (const epoch of trainer.epochs()) {
          rest.push(epoch);
        }
        expect(figures(rest)).toEqual(figures(whole.epochs).slice(1));
        expect(rest.every(({ samples_per_second, seconds }) => samples_per_second > 0 && seconds > 0)).toBe(
          true,
        );
      },
      { epochs: 3 },
    );
  });

  test('an epoch that a signal cut short is ended by the next call', async () => {
    const rows = byteRows(2000, 9, 5);
    const whole = await trained(gpu, small, rows, { ...options, epochs: 1 });
    await training(
      async (trainer, model) => {
        const seen: EpochMetrics[] = [];
        while (seen.length === 0) {
          const stop = new AbortController();
          const progress = () => stop.abort();
          for await (const epoch of trainer.epochs({ signal: stop.signal, progress })) {
            seen.push(epoch);
          }
        }
        expect(figures(seen)).toEqual(figures(whole.epochs));
        expect(sameParameters(whole.parameters, await model.parameters())).toBe(true);
      },
      { rows, epochs: 1 },
    );
  });

  test('at most two submits are ahead of what has been told', async () => {
    await training(async (trainer) => {
      const seen: number[] = [];
      for await (const { steps } of trainer.steps({ count: 200, submitMilliseconds: 0.001 })) {
        expect(steps).toHaveLength(1);
        seen.push(trainer.done - steps[0].step);
      }
      expect(Math.max(...seen)).toBe(2);
    });
  });

  test('make and compile nothing on the device', async () => {
    await training(async (trainer) => {
      const { device } = gpu;
      const makers = Object.getOwnPropertyNames(Object.getPrototypeOf(device)).filter(
        (name) => name.startsWith('create') && name !== 'createCommandEncoder',
      ) as (keyof GPUDevice)[];
      expect(makers).toContain('createBuffer');
      const made: string[] = [];
      for (const name of makers) {
        const make = device[name] as (...given: unknown[]) => unknown;
        const counted = (...given: unknown[]) => {
          made.push(name);
          return make.apply(device, given);
        };
        Object.defineProperty(device, name, { value: counted, configurable: true });
      }
      try {
        await all(trainer.steps({ count: 300, submitMilliseconds: 1 }));
        expect(made).toEqual([]);
        await trainer.snapshot();
        expect(made).toContain('createBuffer');
      } finally {
        for (const name of makers) {
          Reflect.deleteProperty(device, name);
        }
      }
    });
  });

  test('cannot be asked for twice at once', async () => {
    await training(async (trainer) => {
      const first = trainer.steps();
      const asked = first.next();
      await expect(trainer.steps().next()).rejects.toThrow(EngineError);
      await expect(trainer.steps().next()).rejects.toThrow('The trainer is at work.');
      await asked;
      await first.return();
      expect(stepsOf(await all(trainer.steps({ count: 2 })))).toHaveLength(2);
    });
  });

  test('that are dropped half-way keep nobody from training on', async () => {
    const whole = await trained(gpu, small, dataset, { ...options, epochs: 3 });
    await training(async (trainer, model) => {
      const dropped = trainer.steps({ submitMilliseconds: 0.001 });
      await dropped.next();
      await dropped.next();
      const { done } = trainer;
      // Two submits are in flight: they count, and are not done again.
      expect(done).toBe(4);
      const blocks = await all(trainer.steps({ count: 15 - done }));
      expect(stepsOf(blocks).map(({ step }) => step)).toEqual(Array.from({ length: 11 }, (_, i) => i + 5));
      expect(figures(epochsOf(blocks))).toEqual(figures(whole.epochs));
      expect(sameParameters(whole.parameters, await model.parameters())).toBe(true);
      await expect(dropped.next()).rejects.toThrow('Another call has taken over from this one');
    });
  });

  test('stop at a loss that is not finite, and stay stopped', async () => {
    const values = new Float32Array(23 * 9).fill(0.5);
    values[16 * 9] = 3e38;
    const rows = floatRows(values, 9);
    await training(
      async (trainer, model) => {
        const told: StepMetrics[] = [];
        const run = async () => {
          for await (const { steps } of trainer.steps({ submitMilliseconds: 1000 })) {
            told.push(...steps);
          }
        };
        const failure = new NonFiniteLossError(1, 4).message;
        await expect(run()).rejects.toThrow(failure);
        const parameters = await model.parameters();
        await expect(run()).rejects.toThrow(failure);
        expect(sameParameters(parameters, await model.parameters())).toBe(true);
        // Those before it are told, also where they were submitted with it.
        expect(told.map(({ step }) => step)).toEqual([1, 2, 3]);
        expect(told.every(({ loss }) => Number.isFinite(loss))).toBe(true);
        const before = await trained(
          gpu,
          small,
          { ...rows, rows: 15, data: rows.data.subarray(0, 135) },
          { ...options, shuffle: false, epochs: 1 },
        );
        expect(sameParameters(parameters, before.parameters)).toBe(true);
      },
      { rows, shuffle: false },
    );
  });
});

describe('a change', () => {
  const changes: Partial<LiveSettings>[] = [
    { lr: 0.002 },
    { sparsity_lambda: 0.9, sparsity_target: 0.3 },
    { lr: 0.03, sparsity_lambda: 0 },
    { sparsity_lambda: 0.1 },
  ];

  test('between steps is what the reference does with such a schedule', async () => {
    await training(async (trainer, model) => {
      const start = await model.parameters();
      const blocks: TrainedSteps[] = [];
      let settings: LiveSettings = options;
      const expected: number[][] = [];
      // In the midst of an epoch, at its end, twice in a row, and before the first step.
      for (const [i, count] of [0, 2, 6, 2, 0, 7].entries()) {
        blocks.push(...(await all(trainer.steps({ count }))));
        expected.push(
          ...Array(count).fill([settings.lr, settings.sparsity_lambda, settings.sparsity_target]),
        );
        settings = { ...settings, ...changes[i % changes.length] };
        trainer.change(changes[i % changes.length]);
      }
      const steps = stepsOf(blocks);
      expect(steps.map((step) => [step.lr, step.sparsity_lambda, step.sparsity_target])).toEqual(expected);
      expect(trainer.config).toMatchObject({ batch_size: 5, seed: 7, ...settings });
      await expectReference(start, blocks, model);
    });
  });

  test('while it trains takes effect with the next submit', async () => {
    const rows = byteRows(203, 9, 4);
    await training(
      async (trainer, model) => {
        const start = await model.parameters();
        const blocks: TrainedSteps[] = [];
        let settings: LiveSettings = options;
        const expected: [from: number, lr: number, sparsity_lambda: number, sparsity_target: number][] = [];
        // A step a submit, so that it happens at the same steps whatever the machine does meanwhile.
        for await (const block of trainer.steps({ count: 60, submitMilliseconds: 1e-6 })) {
          blocks.push(block);
          if (blocks.length % 5 === 0) {
            const given = changes[expected.length % changes.length];
            settings = { ...settings, ...given };
            trainer.change(given);
            expected.push([trainer.done, settings.lr, settings.sparsity_lambda, settings.sparsity_target]);
          }
        }
        expect(expected.length).toBeGreaterThan(3);
        for (const { step, lr, sparsity_lambda, sparsity_target } of stepsOf(blocks)) {
          const [, ...inForce] = expected.findLast(([from]) => step > from) ?? [0, 0.01, 0.2, 0.05];
          expect([lr, sparsity_lambda, sparsity_target]).toEqual(inForce);
        }
        // f32 and f64 have drifted apart by then.
        await expectReference(start, blocks, model, rows, 1e-4);
      },
      { rows },
    );
  });

  test('that makes no sense is refused and changes nothing', async () => {
    await training(async (trainer) => {
      expect(() => trainer.change({ lr: -1 })).toThrow(
        new ConfigError('lr must be a number above 0, and is -1.'),
      );
      expect(() => trainer.change({ lr: 1, sparsity_target: 2 })).toThrow(ConfigError);
      expect(() => trainer.change({ batch_size: 3 } as Partial<LiveSettings>)).toThrow(
        'batch_size cannot be changed while a model is trained, only lr, sparsity_lambda, sparsity_target can.',
      );
      trainer.change({ lr: undefined } as unknown as Partial<LiveSettings>);
      expect(trainer.config).toMatchObject(options);
      const { steps } = (await all(trainer.steps({ count: 1 })))[0];
      expect(steps[0]).toMatchObject({ lr: 0.01, sparsity_lambda: 0.2, sparsity_target: 0.05 });
    });
  });
});
