import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test } from 'vitest';
import { DeviceLostError } from '../../src/gpu/errors.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { describeAdapters, openGpu } from '../../src/node/adapters.js';
import { Model } from '../../src/sae/model/model.js';
import { byteRows } from '../support/models.js';

const opened: Gpu[] = [];
afterEach(() => {
  for (const gpu of opened.splice(0)) {
    gpu.close();
  }
});

async function open(): Promise<Gpu> {
  const gpu = await openGpu();
  opened.push(gpu);
  return gpu;
}

/** Dawn's instances, which live as long as the process. */
const instances = () =>
  (globalThis as { webgpuSaeInstances?: ReadonlyMap<string, unknown> }).webgpuSaeInstances?.size;

describe('devices that are opened one after the other, and at once', () => {
  test('share an instance of Dawn', async () => {
    const adapters = await describeAdapters();
    const [gpu] = [await open()];
    const before = instances();
    expect(before).toBeGreaterThan(0);
    gpu.close();
    for (let i = 0; i < 3; i++) {
      (await open()).close();
    }
    expect(await describeAdapters()).toEqual(adapters);
    expect(instances()).toBe(before);
  });

  test('and are devices of their own', async () => {
    const [one, two] = [await open(), await open()];
    expect(one.device).not.toBe(two.device);
    const codes: Float32Array[] = [];
    for (const gpu of [one, two]) {
      const model = await Model.create(gpu, { in_dims: 9, h_dims: [6, 4] }, 7);
      codes.push(await model.encode(byteRows(3, 9, 1)));
      gpu.close();
    }
    expect([...codes[0]]).toEqual([...codes[1]]);
    const lost = await one.device.lost;
    expect(lost.reason).toBe('destroyed');
  });
});

test('an adapter that gives no device is named, with the reason', async () => {
  await open();
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = () => Promise.reject(new Error('out of handles.'));
  try {
    await expect(openGpu()).rejects.toThrow(DeviceLostError);
    await expect(openGpu()).rejects.toThrow(
      /^The adapter \S.* cannot be used now: out of handles\. Other programs may/,
    );
  } finally {
    GPUAdapter.prototype.requestDevice = requestDevice;
  }
});

test('a device that was closed is not held by anything', async () => {
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  const weak = await (async () => {
    const gpu = await openGpu();
    const model = await Model.create(gpu, { in_dims: 9, h_dims: [6, 4] }, 7);
    await model.encode(byteRows(5, 9, 1));
    model.close();
    gpu.close();
    await gpu.lost;
    return new WeakRef(gpu.device);
  })();
  const held = () => {
    collect();
    return weak.deref() !== undefined;
  };
  await expect.poll(held, { timeout: 20_000, interval: 100 }).toBe(false);
});
