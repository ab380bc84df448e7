import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { TableLog } from '../../../src/node/metrics/table-log.js';
import { TensorboardLog } from '../../../src/node/metrics/tensorboard-log.js';
import { crc32c } from '../../../src/sae/rows/formats/crc.js';

const folder = mkdtempSync(join(tmpdir(), 'webgpu-sae-metrics-'));
afterAll(() => rmSync(folder, { recursive: true }));

const step = {
  step: 1,
  epoch: 1,
  loss: 0.5,
  mse: 0.25,
  explained_variance: 0.1,
  active: 3,
  kl: 0.125,
  lr: 1e-3,
};
const steps = [step, { ...step, step: 2, loss: 0.25 }] as never;
const epoch = { ...step, dead: 4, dense: 1, samples_per_second: 10.5, seconds: 2 } as never;

/** What is 32 bytes of each: RFC 3720, section B.4, and the usual check of a CRC. */
test.each([
  [new Uint8Array(32), 0x8a9136aa],
  [new Uint8Array(32).fill(255), 0x62a8ab43],
  [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  [new TextEncoder().encode('123456789'), 0xe3069283],
])('CRC-32C of known bytes', (bytes, sum) => {
  expect(crc32c(bytes)).toBe(sum);
});

const python = ['python3', '/usr/bin/python3'].find(
  (name) => spawnSync(name, ['-c', 'import google.protobuf']).status === 0,
);

describe('an event file of TensorBoard', () => {
  const written = () => {
    const own = mkdtempSync(join(folder, 'run-'));
    const log = new TensorboardLog(own);
    expect(readdirSync(own)).toEqual([]);
    log.steps(steps);
    log.epoch(epoch, 2);
    log.heldOut({ loss: 0.75, dead: 5 } as never, 2);
    log.close();
    const [name, ...others] = readdirSync(own);
    expect(others).toEqual([]);
    expect(name).toMatch(/^events\.out\.tfevents\.\d{10}\./);
    return join(own, name);
  };

  test.skipIf(!python)("is what Google's protobuf reads", () => {
    const before = Date.now() / 1000;
    const script = fileURLToPath(new URL('read_events.py', import.meta.url));
    const { stdout, stderr } = spawnSync(python!, [script, written()], { encoding: 'utf8' });
    expect(stderr).toBe('');
    const events = JSON.parse(stdout) as [number, number, string, Record<string, number>][];
    for (const [time] of events) expect(Math.abs(time - before)).toBeLessThan(60);
    const single = (values: Record<string, number>) =>
      Object.fromEntries(Object.entries(values).map(([tag, value]) => [tag, Math.fround(value)]));
    const ofStep = { loss: 0.5, mse: 0.25, explained_variance: 0.1, active: 3, kl: 0.125, lr: 1e-3 };
    const tagged = (kind: string, values: object) =>
      single(Object.fromEntries(Object.entries(values).map(([name, value]) => [`${kind}/${name}`, value])));
    expect(events.map(([, ...rest]) => rest)).toEqual([
      [0, 'brain.Event:2', {}],
      [1, '', tagged('step', ofStep)],
      [2, '', tagged('step', { ...ofStep, loss: 0.25 })],
      [2, '', tagged('epoch', { ...ofStep, dead: 4, dense: 1, samples_per_second: 10.5 })],
      [2, '', tagged('held_out', { loss: 0.75, dead: 5 })],
    ]);
  });

  test('has the checksums of each length and event, by the mask of TensorFlow', () => {
    const content = readFileSync(written());
    let at = 0;
    const unmasked = (place: number) => {
      const turned = (content.readUInt32LE(place) - 0xa282ead8) >>> 0;
      return ((turned >>> 17) | (turned << 15)) >>> 0;
    };
    while (at < content.length) {
      const length = Number(content.readBigUInt64LE(at));
      expect(unmasked(at + 8)).toBe(crc32c(content.subarray(at, at + 8)));
      expect(unmasked(at + 12 + length)).toBe(crc32c(content.subarray(at + 12, at + 12 + length)));
      at += 16 + length;
    }
    expect(at).toBe(content.length);
  });
});

describe('a table of metrics', () => {
  test.each([
    [
      'step',
      'csv',
      'step,epoch,loss,mse,explained_variance,active,kl,lr\n1,1,0.5,0.25,0.1,3,0.125,0.001\n2,1,0.25,0.25,0.1,3,0.125,0.001\n',
    ],
    ['step', 'jsonl', `${JSON.stringify(step)}\n${JSON.stringify({ ...step, step: 2, loss: 0.25 })}\n`],
    [
      'epoch',
      'csv',
      'epoch,step,loss,mse,explained_variance,active,kl,lr,dead,dense,samples_per_second,seconds\n1,1,0.5,0.25,0.1,3,0.125,0.001,4,1,10.5,2\n',
    ],
    ['epoch', 'jsonl', `${JSON.stringify(epoch)}\n`],
  ] as const)('of each %s, .%s', (of, ending, expected) => {
    const file = join(folder, `${of}.${ending}`);
    const log = new TableLog(file, of);
    for (const each of [...(steps as (typeof step)[])]) log.steps([each] as never);
    log.epoch(epoch);
    log.heldOut();
    log.close();
    expect(readFileSync(file, 'utf8')).toBe(expected);
  });
});

test.skipIf(process.platform === 'win32')('a table that was removed meanwhile is said at its end', () => {
  const file = join(folder, 'removed.jsonl');
  const log = new TableLog(file, 'epoch');
  log.epoch({ epoch: 1, loss: 1 } as never);
  rmSync(file);
  expect(() => log.close()).toThrow(`${file} cannot be written: it was removed meanwhile.`);
});
