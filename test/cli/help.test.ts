import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { objects, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();

describe('help', () => {
  it('sae --help shows train with its defaults and examples, and every command', async () => {
    const help = await succeeds(['--help'], { cwd: folder.path });
    const text = help.replace(/\s+/g, ' ');
    const defaults = {
      'in-dims': '784',
      'h-dims': '"[20]"',
      activation: '"relu"',
      'batch-size': '64',
      epochs: '20',
      lr: '0.0001',
      'sparsity-lambda': '0.2',
      'sparsity-target': '0.01',
      shuffle: 'True',
      train: 'True',
      'save-model': 'False',
      'save-plots': 'True',
      'files-dir': '"files"',
      'images-dir': '"images"',
      'download-mnist': 'True',
      'num-samples': '5',
      seed: '42',
    };
    // An option begins a line; its description may go on over several.
    const options = help.split(/^ {2}(?=-)/m).map((option) => option.replace(/\s+/g, ' '));
    for (const [name, standard] of Object.entries(defaults)) {
      const option = options.find((words) => words.startsWith(`--${name} `));
      expect(option).toContain(`(default: ${standard})`);
    }
    expect(text).toContain('choices: "auto", "mnist", "mnist-10k", "words-10k", default: "auto"');
    for (const name of [
      'init',
      'data',
      'labels',
      'validation',
      'normalize',
      'data-dir',
      'adapter',
      'quiet',
      'json',
    ]) {
      expect(text).toContain(` --${name} `);
    }
    for (const command of ['train', 'eval', 'report', 'reconstruct', 'encode', 'rows', 'synth', 'devices']) {
      expect(text).toContain(` ${command} `);
    }
    expect(text).toContain('$ sae --epochs 100 --h_dims "[256, 128, 64]"');
  });

  it('sae train --help and --version', async () => {
    const help = await succeeds(['train', '--help'], { cwd: folder.path });
    expect(help).toMatch(/^Usage: sae train \[options\]/);
    expect(help).toContain('$ sae --init files/sae.safetensors');
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await succeeds(['--version'], { cwd: folder.path })).toBe(`${version}\n`);
  });
});

describe('devices', () => {
  it('lists adapters, exactly one of which is used, for people and as JSON', async () => {
    const adapters = objects(await succeeds(['devices', '--json'], { cwd: folder.path }));
    expect(adapters.filter(({ used }) => used)).toHaveLength(1);
    for (const { name, backend, software, limits, features } of adapters) {
      expect(name).toMatch(/./);
      expect(backend).toMatch(/^(vulkan|metal|d3d12)$/);
      expect(typeof software).toBe('boolean');
      expect((limits as Record<string, number>).maxStorageBufferBindingSize).toBeGreaterThanOrEqual(2 ** 27);
      expect(features).toContain('core-features-and-limits');
    }
    const text = await succeeds(['devices'], { cwd: folder.path });
    for (const { name, software, used } of adapters) {
      expect(text).toContain(`${name}\n  backend `);
      expect(text).toMatch(software ? / {2}kind +software: / : / {2}kind +GPU\n/);
      expect(text).toMatch(used ? / {2}used +yes: / : / {2}used +with --adapter /);
    }
    expect(text).toMatch(/maxStorageBufferBindingSize +[\d,]+\n/);
  });
});
