import { expect } from 'vitest';
import { parseTrainConfig, type TrainOptions } from '../../src/sae/config.js';
import { optimizerOf } from '../../src/sae/optimizer/index.js';
import { type Bench, paddingOf } from './device.js';
import { deinterleaved, interleaved } from './moments.js';

/** A parameter with its gradient and the moments that its rule keeps. */
export interface Updating {
  readonly parameters: Float32Array<ArrayBuffer>;
  readonly gradient: Float32Array<ArrayBuffer>;
  readonly moments: readonly Float32Array<ArrayBuffer>[];
}

export interface HowToUpdate {
  /** Of the update, from 1. */
  readonly t: number;
  readonly lr: number;
  /** What chooses the rule, and its options. */
  readonly options?: TrainOptions;
  readonly halted?: number;
  /** What clipping multiplies the gradient by. */
  readonly scale?: number;
  readonly groups?: number;
  /** Whether each moment has a buffer of its own. */
  readonly apart?: boolean;
}

/** Runs `optimizer/update.wgsl` with a rule on one parameter, [shape]. */
export async function update(
  bench: Bench,
  shape: readonly number[],
  { parameters, gradient, moments }: Updating,
  { t, lr, options = {}, halted = 0, scale = 1, groups = 1, apart = true }: HowToUpdate,
): Promise<Omit<Updating, 'gradient'>> {
  const config = parseTrainConfig(options);
  const rule = optimizerOf(config.optimizer);
  const gradients = bench.tensor('gradients', shape, gradient);
  const tensor = bench.tensor('parameters', shape, parameters);
  const side = ['first_moments', 'second_moments'].map((name, i) => bench.tensor(name, shape, moments[i]));
  const laid = interleaved(shape, moments);
  const together = bench.tensor('moments', [laid.length], laid);
  await bench.run(
    {
      files: [
        'metrics/step.wgsl',
        ...rule.files,
        apart ? 'optimizer/two_moments.wgsl' : 'optimizer/moments.wgsl',
        'optimizer/update.wgsl',
      ],
      constants: rule.constants(config),
    },
    {
      update: bench.step({ rates: rule.rates(lr, t, config) }),
      state: bench.buffer(new Uint32Array([1, halted]), 16, GPUBufferUsage.UNIFORM),
      gradient_scale: bench.buffer(new Uint32Array(Float32Array.of(scale).buffer)),
      gradients,
      parameters: tensor,
      ...(apart ? { first_moments: side[0], second_moments: side[1] } : { all_moments: together }),
    },
    [groups, 1],
  );
  expect(await paddingOf(tensor)).toBe(0);
  return {
    parameters: await tensor.read(),
    moments: apart
      ? await Promise.all(side.map((tensor) => tensor.read()))
      : deinterleaved(shape, await together.read(), moments.length),
  };
}

/** Runs `optimizer/squares.wgsl` on each gradient, then `optimizer/clip.wgsl`. */
export async function clip(bench: Bench, gradients: readonly Float32Array<ArrayBuffer>[], clip_norm: number) {
  const threads = 64;
  const squares = bench.unwritten('squares', [gradients.length * threads]);
  for (const [i, gradient] of gradients.entries()) {
    const place = new Uint32Array([i * threads]);
    const tensor = bench.tensor('gradient', [gradient.length], gradient);
    await bench.run(['optimizer/squares.wgsl'], { place, gradients: tensor, squares }, [1, 1]);
  }
  const state = bench.buffer(new Uint32Array([1, 0]));
  const log = bench.buffer(new Uint32Array(8));
  const gradient_scale = bench.buffer(new Uint32Array(1));
  await bench.run(
    { files: ['metrics/step.wgsl', 'optimizer/clip.wgsl'], constants: { clip_norm } },
    { squares, state, log_of_steps: log, gradient_scale },
    [1, 1],
  );
  return {
    scale: new Float32Array((await bench.words(gradient_scale)).buffer)[0],
    halted: (await bench.words(state))[1],
    fault: (await bench.words(log))[6],
  };
}
