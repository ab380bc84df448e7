import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, DataError } from '../../../src/sae/errors.js';
import { parseNormalize, resolveNormalization, unitNormalization } from '../../../src/sae/rows/normalize.js';

describe('parseNormalize', () => {
  it.each([
    ['mnist', { mean: 0.1307, std: 0.3081 }],
    ['none', { mean: 0, std: 1 }],
    ['unit', 'unit'],
    ['rms', 'rms'],
    ['zca', 'zca'],
    ['0.5,0.25', { mean: 0.5, std: 0.25 }],
    [' -1e2, +.5 ', { mean: -100, std: 0.5 }],
  ])('%s', (text, expected) => {
    expect(parseNormalize(text)).toEqual(expected);
  });

  it.each([
    '',
    'MNIST',
    'imagenet',
    '1',
    ',',
    '1,',
    ',1',
    '1,2,3',
    '0x10,1',
    'NaN,1',
    '1,Infinity',
    '1 2',
    '0,0',
    '0,-1',
    '0,1e-300',
    '1e39,1',
  ])('"%s" is refused', (text) => {
    expect(() => parseNormalize(text)).toThrow(ConfigError);
    expect(() => parseNormalize(text)).toThrow(`normalize is "${text}"; expected `);
  });
});

describe('the normalisation of data', () => {
  it('is that of mnist for bytes and none for floats, unless one is given', () => {
    expect(resolveNormalization(undefined, new Uint8Array([1, 2]), 'x')).toEqual({
      mean: 0.1307,
      std: 0.3081,
    });
    expect(resolveNormalization(undefined, new Float32Array([1, 2]), 'x')).toEqual({ mean: 0, std: 1 });
    expect(resolveNormalization({ mean: 3, std: 4 }, new Float32Array([1, 2]), 'x')).toEqual({
      mean: 3,
      std: 4,
    });
  });

  it('unit is the mean and the population deviation', () => {
    expect(unitNormalization(new Float32Array([1, 2, 3, 4]), 'x')).toEqual({
      mean: 2.5,
      std: Math.sqrt(1.25),
    });
    expect(unitNormalization(new Uint8Array([0, 255]), 'x')).toEqual({ mean: 0.5, std: 0.5 });
  });

  it('unit gives zero mean and unit variance, far from zero too', () => {
    const values = fc.float32Array({ min: -1000, max: 1000, noNaN: true, minLength: 2, maxLength: 200 });
    fc.assert(
      fc.property(values, fc.constantFrom(0, 1e6), (small, offset) => {
        const data = small.map((value) => value + offset);
        fc.pre(Math.max(...data) - Math.min(...data) > 1e-3);
        const { mean, std } = unitNormalization(data, 'x');
        const scaled = Array.from(data, (value) => (value - mean) / std);
        const average = scaled.reduce((sum, value) => sum + value, 0) / scaled.length;
        const variance = scaled.reduce((sum, value) => sum + (value - average) ** 2, 0) / scaled.length;
        expect(average).toBeCloseTo(0, 6);
        expect(variance).toBeCloseTo(1, 6);
      }),
    );
  });

  it.each([
    new Uint8Array(100).fill(7),
    new Float32Array(12_345).fill(0.1),
    new Float32Array([1]),
    new Float32Array([0, 1e-45]),
  ])('unit refuses data that does not vary', (data) => {
    expect(() => unitNormalization(data, 'flat.npy')).toThrow(DataError);
    expect(() => unitNormalization(data, 'flat.npy')).toThrow(
      /^All values of flat\.npy are .* Use normalize none/,
    );
  });
});
