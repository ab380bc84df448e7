import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DeviceLostError, EngineError, LimitError, OutOfMemoryError } from '../../src/gpu/errors.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { Kernel } from '../../src/gpu/kernel.js';
import { Program } from '../../src/gpu/program.js';
import { openGpu } from '../../src/node/adapters.js';
import { Model } from '../../src/sae/model.js';
import { Trainer } from '../../src/sae/trainer.js';
import { onBench } from '../support/device.js';
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
        `The model's encoder.0.weight [1000000000, 784] needs 2,990,722.7 MiB in one piece, and this adapter (${gpu.name}) allows ${limit()}.`,
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

  test('more workgroups than a dispatch may have', async () => {
    await onBench(gpu, async (bench) => {
      const { maxComputeWorkgroupsPerDimension: most } = gpu.device.limits;
      const source = { files: ['column_sums.wgsl'] };
      const x = bench.tensor('x', [4]);
      const program = new Program(gpu);
      expect(() =>
        program.add(source, { matrix: new Uint32Array(4), values: x, sums: x }, [most + 1, 1]),
      ).toThrow(
        `column_sums needs ${most + 1} workgroups in one dimension, and this adapter (${gpu.name}) allows ${most}`,
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
    expect(await training).toBeInstanceOf(DeviceLostError);
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
      'The device has not enough memory for a model of 8-4-8. Smaller',
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
        /^OutOfMemoryError The device has not enough memory for a model of 4096-4096-.*\.\n$/,
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
      /^The kernel helper\+wrong does not compile:\n {2}line 7: .*\n {6}let x: u32 = helper\(\);/,
    );
  });

  test('nor does one whose constant does not exist', async () => {
    const compiling = gpu.kernel({ files: ['column_sums.wgsl'], constants: { no_such_constant: 1 } });
    await expect(compiling).rejects.toThrow(/The kernel column_sums does not compile:\n.*no_such_constant/);
  });
});
