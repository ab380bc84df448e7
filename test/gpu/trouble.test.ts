import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DeviceLostError, EngineError, LimitError, OutOfMemoryError } from '../../src/gpu/errors.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { Kernel } from '../../src/gpu/kernel.js';
import { Program } from '../../src/gpu/program.js';
import { openGpu } from '../../src/node/adapters.js';
import { Model } from '../../src/sae/model/model.js';
import { type RowSource, rowSource } from '../../src/sae/rows/source.js';
import { Trainer } from '../../src/sae/training/trainer.js';
import { onBench, withLimits } from '../support/device.js';
import { byteRows } from '../support/models.js';

// Each test gets a device of its own, to be broken.
let gpu: Gpu;
beforeEach(async () => {
  gpu = await openGpu();
});
afterEach(() => gpu.close());

describe('larger than the adapter allows', () => {
  /** Counts the buffers that `use` makes. */
  async function buffersOf(use: () => Promise<unknown>): Promise<number> {
    const { createBuffer } = gpu.device;
    let made = 0;
    gpu.device.createBuffer = (descriptor) => {
      made++;
      return createBuffer.call(gpu.device, descriptor);
    };
    try {
      await use();
    } finally {
      gpu.device.createBuffer = createBuffer;
    }
    return made;
  }

  const limit = () =>
    `${(Math.min(gpu.device.limits.maxStorageBufferBindingSize, gpu.device.limits.maxBufferSize) / 2 ** 20).toLocaleString('en', { maximumFractionDigits: 1 })} MiB`;

  test('a model is refused before anything is allocated', async () => {
    const made = await buffersOf(async () => {
      const creating = Model.create(gpu, { in_dims: 784, h_dims: [1e9] });
      await expect(creating).rejects.toThrow(LimitError);
      await expect(creating).rejects.toThrow(
        `The model's encoder.0.weight [1000000000, 784] needs 2,990,722.7 MiB in one buffer, and this adapter (${gpu.name}) allows ${limit()}.`,
      );
    });
    expect(made).toBe(0);
  });

  test('so is one whose second layer is the one that is too large', async () => {
    const made = await buffersOf(() =>
      expect(Model.create(gpu, { in_dims: 8, h_dims: [8, 2e9] })).rejects.toThrow(
        "The model's encoder.2.weight [2000000000, 8]",
      ),
    );
    expect(made).toBe(0);
  });

  test('a batch is refused before anything is allocated', async () => {
    const width = 2 ** 16;
    const model = await Model.create(gpu, { in_dims: 1, h_dims: [width] });
    const rows = Math.ceil(gpu.device.limits.maxStorageBufferBindingSize / width / 4) + 4;
    const made = await buffersOf(async () => {
      const creating = Trainer.create(model, byteRows(rows, 1, 1), { batch_size: rows });
      await expect(creating).rejects.toThrow(LimitError);
      await expect(creating).rejects.toThrow(`A batch's layer [${rows}, ${width}] needs`);
    });
    expect(made).toBe(0);
    model.close();
  });

  test.each([
    ['rows', 300_000, 64, 'The order of 300,000 rows at a time needs 1.1 MiB in one buffer'],
    [
      'steps',
      40_000,
      1,
      'The records of 40,000 rows at a time in batches of 1, 40,000 steps, needs 1.2 MiB in one buffer',
    ],
  ])('an epoch of too many %s is refused before a row is read', async (_, rows, batch_size, sentence) => {
    const model = await Model.create(gpu, { in_dims: 4, h_dims: [4] });
    let read = 0;
    const source: RowSource = {
      ...rowSource(byteRows(1, 4, 1)),
      rows,
      read: (first, end) => {
        read += end - first;
        return new Uint8Array(4 * (end - first));
      },
    };
    const made = await buffersOf(() =>
      withLimits(gpu, { maxStorageBufferBindingSize: 2 ** 20 }, async () => {
        const creating = Trainer.create(model, source, { batch_size });
        await expect(creating).rejects.toThrow(LimitError);
        await expect(creating).rejects.toThrow(sentence);
      }),
    );
    expect([made, read]).toEqual([0, 0]);
    model.close();
  });

  test('a row too wide is refused before anything is allocated', async () => {
    const model = await Model.create(gpu, { in_dims: 300, h_dims: [4] });
    const made = await buffersOf(() =>
      withLimits(gpu, { maxStorageBufferBindingSize: 299 }, async () => {
        const creating = Trainer.create(model, byteRows(8, 300, 1));
        await expect(creating).rejects.toThrow(LimitError);
        await expect(creating).rejects.toThrow('A row of test bytes needs');
      }),
    );
    expect(made).toBe(0);
    model.close();
  });

  test.each([{}, { clip_norm: 1 }])('what can be a model can be trained: %o', async (options) => {
    // Weights that take all of a binding; the moments that Adam keeps of them take twice that.
    const bytes = 64 * 64 * 4;
    await withLimits(gpu, { maxStorageBufferBindingSize: bytes }, async () => {
      const model = await Model.create(gpu, { in_dims: 64, h_dims: [64] });
      await expect(Model.create(gpu, { in_dims: 64, h_dims: [65] })).rejects.toThrow(LimitError);
      const sizes: number[] = [];
      const { buffer } = gpu;
      gpu.buffer = (label, size, usage) => {
        sizes.push(size);
        return buffer.call(gpu, label, size, usage);
      };
      const rows = byteRows(8, 64, 1);
      const trainer = await Trainer.create(model, rows, { ...options, batch_size: 8, epochs: 2 });
      gpu.buffer = buffer;
      expect(Math.max(...sizes)).toBe(bytes);
      // Two moments of two weights, and where they are stored the gradients.
      expect(sizes.filter((size) => size === bytes)).toHaveLength('clip_norm' in options ? 6 : 4);
      for await (const { loss } of trainer.epochs()) {
        expect(loss).toBeGreaterThan(0);
      }
      trainer.close();
      model.close();
    });
    expect(gpu.allocatedBytes).toBe(0);
  });

  test('more workgroups than a dispatch may have', async () => {
    await onBench(gpu, async (bench) => {
      const { maxComputeWorkgroupsPerDimension: most } = gpu.device.limits;
      const source = { files: ['bench/copy.wgsl'] };
      const x = bench.tensor('x', [4]);
      const program = new Program(gpu);
      expect(() => program.add(source, { source: x, destination: x }, [most + 1, 1])).toThrow(
        `bench/copy needs ${most + 1} workgroups in one dimension, and this adapter (${gpu.name}) allows ${most}`,
      );
    });
  });
});

describe('a device that is lost in mid-training', () => {
  const rejections: unknown[] = [];
  const note = (reason: unknown) => rejections.push(reason);
  beforeEach(() => {
    rejections.length = 0;
    process.on('unhandledRejection', note);
  });
  afterEach(() => {
    process.off('unhandledRejection', note);
  });

  async function train(onProgress: (rows: number) => void, onEpoch: () => void): Promise<unknown> {
    const model = await Model.create(gpu, { in_dims: 64, h_dims: [16] });
    const trainer = await Trainer.create(model, byteRows(5000, 64, 1), { epochs: 1e6, batch_size: 16 });
    try {
      for await (const _ of trainer.epochs({ progress: ({ rows }) => onProgress(rows) })) {
        onEpoch();
      }
      return undefined;
    } catch (error) {
      return error;
    } finally {
      trainer.close();
      model.close();
    }
  }

  /** Promises that nobody waits for are reported a turn of the event loop later. */
  const turns = () => new Promise((resolve) => setTimeout(resolve, 50));

  test.each([
    ['while submits are in flight', (rows: number) => rows > 1000, false],
    ['between two epochs', () => false, true],
  ])('%s', async (_, when, betweenEpochs) => {
    const error = await train(
      (rows) => {
        if (when(rows)) {
          gpu.device.destroy();
        }
      },
      () => {
        if (betweenEpochs) {
          gpu.device.destroy();
        }
      },
    );
    expect(error).toBeInstanceOf(DeviceLostError);
    await turns();
    expect(rejections).toEqual([]);
  });

  test('at any moment', async () => {
    const training = train(
      () => {},
      () => {},
    );
    setTimeout(() => gpu.device.destroy(), 300);
    // On a busy machine that is before there is a trainer.
    expect(await training.catch((error: unknown) => error)).toBeInstanceOf(DeviceLostError);
    await turns();
    expect(rejections).toEqual([]);
  });

  test('before a model is used', async () => {
    const model = await Model.create(gpu, { in_dims: 8, h_dims: [4] });
    gpu.device.destroy();
    await expect(model.encode(byteRows(3, 8, 1))).rejects.toThrow(DeviceLostError);
    await expect(model.parameters()).rejects.toThrow(DeviceLostError);
    await expect(Model.create(gpu, { in_dims: 8, h_dims: [4] })).rejects.toThrow(DeviceLostError);
    await turns();
    expect(rejections).toEqual([]);
  });
});

describe('out of memory', () => {
  /** 64 GiB: more than any adapter takes as one texture. Buffers of that size are refused as invalid already. */
  const enormous: GPUTextureDescriptor = {
    size: [8192, 8192, 256],
    format: 'rgba32float',
    usage: 4,
  };

  test('is said with what the memory was for', async () => {
    const allocating = gpu.allocate('a model of 8-4-8', () => gpu.device.createTexture(enormous));
    await expect(allocating).rejects.toThrow(OutOfMemoryError);
    await expect(allocating).rejects.toThrow(
      'The device does not have enough memory for a model of 8-4-8. Smaller',
    );
    // The device goes on.
    await gpu.finish();
    const model = await Model.create(gpu, { in_dims: 8, h_dims: [4] });
    expect(await model.encode(byteRows(3, 8, 1))).toHaveLength(12);
  });

  test('explains a failure that it caused', async () => {
    const allocating = gpu.allocate('a model', () => {
      gpu.device.createTexture(enormous);
      throw new TypeError('no buffer');
    });
    await expect(allocating).rejects.toThrow(OutOfMemoryError);
    const failing = gpu.allocate('a model', () => {
      throw new TypeError('no buffer');
    });
    await expect(failing).rejects.toThrow(TypeError);
  });

  test('outside an allocation comes out at the next wait', async () => {
    gpu.device.createTexture(enormous);
    await expect(gpu.finish()).rejects.toThrow(OutOfMemoryError);
  });

  test('for what the host fills is said, though it is refused as a size', async () => {
    const { device } = gpu;
    const { createBuffer } = device;
    // As Dawn does, where a buffer is to be mapped at once.
    device.createBuffer = (descriptor) => {
      if (descriptor.mappedAtCreation) throw new RangeError('size is too large for the implementation');
      return createBuffer.call(device, descriptor);
    };
    const model = await Model.create(gpu, { in_dims: 8, h_dims: [4] });
    await expect(Trainer.create(model, byteRows(20, 8, 1))).rejects.toThrow(OutOfMemoryError);
  });

  test('for what a kernel is given is said, not that it cannot be bound', async () => {
    const { device } = gpu;
    const { createBuffer } = device;
    device.createBuffer = (descriptor) => {
      const made = createBuffer.call(device, descriptor);
      // A buffer that there is no memory for can be used for nothing.
      device.createTexture(enormous);
      made.destroy();
      return made;
    };
    const program = new Program(gpu);
    const code = 'var<uniform> factor: u32;\n@compute @workgroup_size(1) fn main() { _ = factor; }';
    program.add({ name: 'one', code }, { factor: new Uint32Array([2]) }, [1, 1]);
    await expect(program.ready()).rejects.toThrow(OutOfMemoryError);
  });

  // Mesa's software adapter takes whatever it is asked for and dies when the memory is used; SwiftShader, which comes
  // with Chromium, refuses. So it gets a process of its own that may have 4 GB of address space.
  const swiftshader = '/usr/lib/chromium/vk_swiftshader_icd.json';
  test.skipIf(process.platform !== 'linux' || !existsSync(swiftshader))(
    'a model that the device has no memory for is refused',
    () => {
      const root = fileURLToPath(new URL('../..', import.meta.url));
      const script = `
        import { Model, openGpu } from './dist/node/index.js';
        const gpu = await openGpu();
        const layers = Array(40).fill(4096);
        try {
          await Model.create(gpu, { in_dims: 4096, h_dims: layers });
          console.log('no error');
        } catch (error) {
          console.log(error.name, error.message);
        }
        process.exit();
      `;
      const child = spawnSync(
        'sh',
        ['-c', 'ulimit -v 2500000 && exec "$0" "$@"', process.execPath, '--input-type=module', '-e', script],
        {
          cwd: root,
          encoding: 'utf8',
          env: { ...process.env, NODE_OPTIONS: '', VK_DRIVER_FILES: swiftshader },
        },
      );
      expect(child.stdout, child.stderr).toMatch(
        /^OutOfMemoryError The device does not have enough memory for a model of 4096-4096-.*\.\n$/,
      );
    },
  );
});

describe('a kernel that does not compile', () => {
  test('names its line', async () => {
    const texts = [
      'fn helper() -> f32 {\n  return 1;\n}\n',
      '@compute @workgroup_size(1)\nfn main() {\n  let x: u32 = helper();\n}\n',
    ];
    const compiling = Kernel.compile(gpu.device, { files: ['helper.wgsl', 'wrong.wgsl'] }, texts);
    await expect(compiling).rejects.toThrow(EngineError);
    await expect(compiling).rejects.toThrow(
      /^The kernel helper\+wrong does not compile:\n {2}wrong\.wgsl, line 3: .*\n {6}let x: u32 = helper\(\);/,
    );
  });

  test('whose file does not exist is named with that file', async () => {
    const compiling = gpu.kernel({ files: ['gemm/gemm.wgsl', 'gemm/no_such.wgsl'] });
    await expect(compiling).rejects.toThrow(
      'The kernel gemm/gemm+gemm/no_such needs shaders/gemm/no_such.wgsl, which cannot be loaded: ',
    );
  });

  test('nor does one whose constant does not exist', async () => {
    const compiling = gpu.kernel({ files: ['bench/copy.wgsl'], constants: { no_such_constant: 1 } });
    await expect(compiling).rejects.toThrow(/The kernel bench\/copy does not compile:\n.*no_such_constant/);
  });
});

test('a device that does not answer for ten minutes of its own counts as lost, and is not waited for', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const hung = await openGpu({ sleep: false });
  try {
    const { mapAsync } = GPUBuffer.prototype;
    GPUBuffer.prototype.mapAsync = () => new Promise(() => {});
    const buffer = hung.buffer('Some values', 64);
    const reading = [hung.read(buffer), hung.read(buffer)];
    GPUBuffer.prototype.mapAsync = mapAsync;
    await new Promise((resolve) => setTimeout(resolve, 50));
    // Nine minutes, in which something comes, and nine more.
    vi.advanceTimersByTime(9 * 60_000);
    await hung.read(buffer);
    vi.advanceTimersByTime(9 * 60_000);
    expect(() => hung.check()).not.toThrow();
    vi.advanceTimersByTime(60_000);
    for (const each of reading) await expect(each).rejects.toThrow(DeviceLostError);
    expect(() => hung.check()).toThrow(
      `The device (${hung.name}) has not answered for 10 minutes. What was submitted to it is given up.`,
    );
    await hung.lost;
    const { destroy } = GPUDevice.prototype;
    let destroyed = 0;
    GPUDevice.prototype.destroy = function () {
      destroyed += 1;
      return destroy.call(this);
    };
    hung.close();
    GPUDevice.prototype.destroy = destroy;
    expect(destroyed).toBe(0);
  } finally {
    vi.useRealTimers();
    hung.device.destroy();
  }
});

test('a device that is lost between the mapping of a buffer and its use is named, not what it leads to', async () => {
  const { getMappedRange } = GPUBuffer.prototype;
  const buffer = gpu.buffer('Some values', 64);
  GPUBuffer.prototype.getMappedRange = function (...args) {
    gpu.device.destroy();
    return getMappedRange.apply(this, args);
  };
  try {
    await expect(gpu.read(buffer)).rejects.toThrow(DeviceLostError);
  } finally {
    GPUBuffer.prototype.getMappedRange = getMappedRange;
  }
});
