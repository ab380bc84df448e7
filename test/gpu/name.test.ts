import { afterEach, expect, test, vi } from 'vitest';
import { Gpu } from '../../src/gpu/gpu.js';

afterEach(() => vi.unstubAllGlobals());

/** What an adapter is called that says no more of itself than this. Nothing is done with it. */
async function nameOf(info: Partial<GPUAdapterInfo>): Promise<string> {
  const device = { lost: new Promise(() => {}) };
  const adapter = {
    info: { vendor: '', architecture: '', device: '', description: '', isFallbackAdapter: false, ...info },
    features: new Set(),
    limits: {},
    requestDevice: async () => device,
  };
  const provider = { requestAdapter: async () => adapter };
  return (await Gpu.open(provider as unknown as GPU, () => '')).name;
}

test('an adapter goes by the best name that it has', async () => {
  expect(await nameOf({ vendor: 'nvidia', architecture: 'hopper' })).toBe('nvidia hopper');
  expect(await nameOf({ vendor: 'nvidia', device: '0x2330' })).toBe('0x2330');
  expect(await nameOf({ device: '0x2330', description: 'NVIDIA H100' })).toBe('NVIDIA H100');
});

test('of one without any name it says what is known: its kind, and that Firefox does not name it', async () => {
  vi.stubGlobal('navigator', {
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0',
  });
  expect(await nameOf({})).toBe('a GPU that Firefox does not name');
  expect(await nameOf({ isFallbackAdapter: true })).toBe('a software adapter that Firefox does not name');
  // Node 20 has no navigator.
  for (const navigator of [{ userAgent: 'Node.js/22' }, undefined]) {
    vi.stubGlobal('navigator', navigator);
    expect(await nameOf({ isFallbackAdapter: true })).toBe(
      'a software adapter that this system does not name',
    );
  }
});
