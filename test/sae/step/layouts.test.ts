import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { globals } from 'webgpu';
import { makeShaderDataDefinitions } from 'webgpu-utils';
import { optimizerNames, optimizerOf } from '../../../src/sae/optimizer/index.js';
import { shareBytes } from '../../../src/sae/step/forward.js';
import { stepBytes } from '../../../src/sae/step/records.js';
import { entryBytes } from '../../../src/sae/step/sparse/lists.js';
import { logBytes } from '../../../src/sae/step/step-log.js';

// The library expects WebGPU's constants.
Object.assign(globalThis, globals);

// The host lays these structs out by hand; WGSL's rules are applied here by webgpu-utils.
test('the host’s records are as WGSL lays them out', () => {
  const code = readFileSync(new URL('../../../shaders/metrics/step.wgsl', import.meta.url), 'utf8');
  const { structs } = makeShaderDataDefinitions(code);
  const offsets = (name: string) =>
    Object.fromEntries(Object.entries(structs[name].fields).map(([field, { offset }]) => [field, offset]));
  expect(structs.Step.size).toBe(stepBytes);
  expect(offsets('Step')).toEqual({ first_row: 0, rows: 4, rates: 8, coefficients: 16 });
  expect(structs.StepLog.size).toBe(logBytes);
  expect(offsets('StepLog')).toEqual({ terms: 0, mse: 16, active_latents: 20, fault: 24, divisor: 28 });
  expect(structs.Share.size).toBe(shareBytes);
  expect(structs.State.size).toBe(8);
});

test('the entries of lists are as large as WGSL makes them', () => {
  const code = readFileSync(new URL('../../../shaders/sparse/lists.wgsl', import.meta.url), 'utf8');
  const { structs } = makeShaderDataDefinitions(code);
  expect(structs.Entry.size).toBe(entryBytes);
});

test.each(optimizerNames)('%s keeps as many moments as its WGSL says', (name) => {
  const { files, moments } = optimizerOf(name);
  const read = (file: string) => readFileSync(new URL(`../../../shaders/${file}`, import.meta.url), 'utf8');
  const { structs } = makeShaderDataDefinitions(['metrics/step.wgsl', ...files].map(read).join('\n'));
  expect(moments).toBeGreaterThan(0);
  expect(structs.Moments.size).toBe(16 * moments);
  if (moments === 2) {
    expect(Object.keys(structs.Moments.fields)).toEqual(['first', 'second']);
  }
});
