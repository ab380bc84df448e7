import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { runGemm, runShape } from '../../scripts/peers/cases.mjs';
import { Contestant, Dropped } from '../../scripts/peers/contestant.mjs';
import { timeSteps, together } from '../../scripts/peers/peer.mjs';
import { markdown, markdownTable, ratios, short, spread } from '../../scripts/peers/report.mjs';
import { long } from '../support/long.js';

describe('the table of peers', () => {
  it('takes medians of odd and even numbers of repeats, in whatever order they came', () => {
    expect(spread([9, 1, 5])).toEqual({ median: 5, min: 1, max: 9 });
    expect(spread([10, 2, 8, 4])).toEqual({ median: 6, min: 2, max: 10 });
  });

  it('compares round by round, so that a slow machine does not change a ratio', () => {
    expect(ratios([20, 60, 10], [10, 30, 5])).toEqual({ median: 2, min: 2, max: 2 });
    expect(ratios([10, 40], [20, 20])).toEqual({ median: 1.25, min: 0.5, max: 2 });
  });

  it('writes three digits', () => {
    expect([0.0476, 0.394, 2.9, 38.46, 408.2, 1229.4].map(short)).toEqual([
      '0.0476',
      '0.394',
      '2.90',
      '38.5',
      '408',
      '1229',
    ]);
  });

  it('gives slower cases, scaled epochs, losses and rates their cells', () => {
    const ours = { name: 'ours', ours: true, steps: 938, milliseconds: [2, 2], loss: 1.25 };
    const slower = { name: 'A', steps: 100, milliseconds: [20, 24], loss: null };
    const faster = { name: 'B', steps: 938, milliseconds: [1, 1] };
    const table = markdownTable([
      { title: '784-20', stepsAnEpoch: 938, batch_size: 64, results: [ours, slower, faster] },
      { title: 'GEMM', flops: 4e9, results: [{ name: 'B', milliseconds: [8] }] },
    ]).split('\n');
    expect(table.slice(2)).toEqual([
      '| 784-20 | ours | 2.00 (2.00–2.00), 32,000 samples/s | 1.88 |  | 1.250 |',
      '|  | A | 22.0 (20.0–24.0), 2,910 samples/s | ≈ 20.6 | 11.0 (10.0–12.0) | not a number |',
      '|  | B | 1.00 (1.00–1.00), 64,000 samples/s | 0.938 | 0.500 (0.500–0.500) |  |',
      '| GEMM | B | 8.00 (8.00–8.00), 500 GFLOP/s |  | – |  |',
    ]);
  });
});

describe('the report of peers', () => {
  it('says on what was measured, who is missing and why', () => {
    const text = markdown({
      date: '2026-01-02',
      machine: { cpu: 'A CPU', cores: 2, memory_gib: 8, system: 'Linux' },
      adapter: 'an adapter',
      cuda_device: 'a GPU',
      versions: { Node: '20' },
      digits: 'MNIST',
      repeats: 3,
      cases: [{ title: 'GEMM', flops: 1e9, results: [{ name: 'ours', ours: true, milliseconds: [1] }] }],
      left_out: [
        { name: 'A', why: 'it is not installed' },
        { name: 'B', case: 'GEMM', why: 'a product takes 9.0 s here' },
      ],
      notes: ['A note.'],
    });
    expect(text).toContain(
      '2026-01-02: A CPU, 2 cores, 8 GiB, Linux; WebGPU on an adapter, CUDA on a GPU.\nNode 20.',
    );
    expect(text).toContain('of 3 interleaved repeats');
    expect(text).toContain(
      '\n- A: it is not installed.\n- B at GEMM: a product takes 9.0 s here.\n\n- A note.',
    );
  });
});

/** Answers like a peer whose step and product take so many milliseconds, by a clock of its own. */
function fake(name: string, milliseconds: number, log: string[] = [], more = {}) {
  const ask = async (request: { do: string; steps?: number; times?: number }) => {
    const count = request.steps ?? request.times ?? 1;
    log.push(name);
    return { seconds: (milliseconds * count) / 1000, steps: count, times: count, loss: 1.5 };
  };
  return { name, takes: () => true, ask, ...more };
}

function bench(contestants: object[]) {
  return { repeats: 3, scale: 1, contestants, leftOut: [], notes: [], deadline: Number.POSITIVE_INFINITY };
}

describe('a case of the benchmark of peers', () => {
  const shape = { in_dims: 784, h_dims: [20], batch_size: 64, isDefault: true };

  it('lets all take turns, another one first each round, and measures whole epochs where that is asked for', async () => {
    const log: string[] = [];
    const ours = fake('ours', 2, log, { ours: true, wholeEpochs: true });
    const peer = fake('peer', 20, log);
    const { stepsAnEpoch, results } = await runShape(bench([ours, peer]), shape);
    expect(stepsAnEpoch).toBe(938);
    expect(log.slice(-6)).toEqual(['ours', 'peer', 'peer', 'ours', 'ours', 'peer']);
    expect(results).toMatchObject([
      { name: 'ours', steps: 938, milliseconds: [2, 2, 2], loss: 1.5 },
      { name: 'peer', steps: 100, milliseconds: [20, 20, 20], loss: 1.5 },
    ]);
  });

  it('leaves out who is too slow, breaks off or comes too late, and says so', async () => {
    const slow = fake('slow', 4000);
    const dying = fake('dying', 1);
    let asked = 0;
    const { ask } = dying;
    dying.ask = async (request) => {
      asked++;
      if (asked > 3) throw new Dropped('its process ended');
      return ask(request);
    };
    const some = bench([fake('ours', 100, [], { ours: true }), slow, dying]);
    expect((await runGemm(some, 1024)).results.map(({ name }: { name: string }) => name)).toEqual(['ours']);
    expect(some.leftOut).toEqual([
      { name: 'slow', case: 'GEMM 1024³', why: 'a product takes 4.0 s here' },
      { name: 'dying', case: 'GEMM 1024³', why: 'its process ended' },
    ]);
    expect(await runGemm({ ...some, deadline: 0 }, 4096)).toBe(undefined);
    expect(some.notes).toEqual(['GEMM 4096³: left out, for lack of time.']);
  });
});

describe('a contestant', () => {
  it('whose process crashes is dropped at once, whether something was asked or not', async () => {
    const program = 'console.log(JSON.stringify({})); process.kill(process.pid, "SIGSEGV")';
    const crashing = new Contestant(
      { command: [process.execPath, '-e', program] },
      performance.now() + 60_000,
    );
    await crashing.start({});
    const began = performance.now();
    await expect(crashing.ask({ do: 'turn', steps: 1 })).rejects.toThrow('its process ended with SIGSEGV');
    await expect(crashing.ask({ do: 'turn', steps: 1 })).rejects.toThrow(Dropped);
    expect(performance.now() - began).toBeLessThan(30_000);
  });
});

describe('the steps of a peer in JavaScript', () => {
  it('are never more ahead of the device than two batches', async () => {
    const resolvers: (() => void)[] = [];
    let done = 0;
    let most = 0;
    let asked = 0;
    const step = (left: number) => {
      const count = Math.min(left, 5);
      const losses = Array.from({ length: count }, (_, i) => asked + i);
      asked += count;
      most = Math.max(most, asked - done);
      return losses;
    };
    const finished = (losses: number[]) => {
      const upTo = losses.length;
      return new Promise<void>((resolve) => {
        resolvers.push(resolve);
        setTimeout(() => {
          done = Math.max(done, upTo);
          resolve();
        }, 2);
      });
    };
    const answer = await timeSteps(203, step, finished, async (loss: number) => loss);
    expect(answer).toMatchObject({ steps: 203, loss: 101 });
    expect([done, most]).toEqual([203, 50]);
    expect(resolvers.length).toBe(9);
  });

  it('are added up', () => {
    const turns = [
      { seconds: 3, steps: 1, loss: 4 },
      { seconds: 1, steps: 3, loss: 2 },
    ];
    expect(together(turns)).toEqual({ seconds: 3, steps: 4, loss: 2.5 });
  });
});

describe('the peers in PyTorch', () => {
  const python = ['python3', '/usr/bin/python3'].find(
    (program) => spawnSync(program, ['-c', 'import torch']).status === 0,
  );

  it.runIf(long && python)(
    'do the same work, recorded and written out by hand',
    { timeout: 60_000 },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'webgpu-sae-peers-'));
      try {
        const rows = join(folder, 'rows.bin');
        writeFileSync(
          rows,
          Uint8Array.from({ length: 256 * 784 }, (_, i) => (i * i * 7919) % 251),
        );
        const shape = { in_dims: 784, h_dims: [24, 12], batch_size: 64 };
        const losses = async (variant: string) => {
          const child = spawn(python!, ['scripts/peers/torch_peer.py', variant, 'cpu'], {
            stdio: ['pipe', 'pipe', 'inherit'],
            env: { ...process.env, SAE_PEER_ROWS: rows, OMP_NUM_THREADS: '1' },
          });
          for (const request of [
            { do: 'prepare', ...shape },
            { do: 'turn', steps: 40 },
          ]) {
            child.stdin.write(`${JSON.stringify(request)}\n`);
          }
          child.stdin.end();
          const answers: { loss?: number }[] = [];
          for await (const line of createInterface({ input: child.stdout })) answers.push(JSON.parse(line));
          return answers.slice(1).map(({ loss }) => loss!);
        };
        const [recorded, byHand] = [await losses('preloaded'), await losses('by-hand')];
        expect(recorded).toHaveLength(2);
        expect(recorded[1]).toBeLessThan(recorded[0]);
        for (const [i, loss] of byHand.entries()) expect(loss / recorded[i]).toBeCloseTo(1, 4);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});
