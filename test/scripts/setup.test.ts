import { execFile, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSystem } from '../../scripts/setup/system.mjs';
import { long } from '../support/long.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** A small project with the real set-up, the real packages and a build of its own. */
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'setup-test-'));
  for (const path of [
    'scripts',
    'package-lock.json',
    'tsconfig.json',
    'vite.config.ts',
    'LICENSE',
    'README.md',
  ]) {
    cpSync(join(repository, path), join(root, path), { recursive: true });
  }
  mkdirSync(join(root, 'src/cli'), { recursive: true });
  writeFileSync(join(root, 'src/cli/main.ts'), '// nothing\n');
  writeFileSync(join(root, 'package.json'), '{"scripts":{"build":"node build.mjs"}}');
  writeFileSync(
    join(root, 'build.mjs'),
    `import { mkdirSync, writeFileSync } from 'node:fs';
     mkdirSync('dist/cli', { recursive: true });
     mkdirSync('dist/data', { recursive: true });
     mkdirSync('dist/report', { recursive: true });
     writeFileSync('dist/cli/main.js', '');
     writeFileSync('dist/report/template.html', '');
     writeFileSync('dist/data/mnist-10k.idx.gz', '');`,
  );
  symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'), 'junction');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function setUp(args: string[] = [], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts/setup.mjs'), ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    // The packages are those of this repository: not even a set-up that is wrong may touch them.
    env: { ...process.env, SAE_NO_INSTALL: '1', npm_config_dry_run: 'true', ...env },
  });
  return { status, stdout, stderr };
}

/** Runs Node as a user who owns nothing. */
function asNobody(...args: string[]) {
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const { status, stdout, stderr } = spawnSync('setpriv', [...user, process.execPath, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, SAE_NO_INSTALL: '1' },
  });
  return { status, stdout, stderr };
}

/** Only root can become another user, who cannot read a repository in root's own folder. */
const nobodyCanRead =
  asNobody('-e', `require(${JSON.stringify(join(repository, 'package.json'))})`).status === 0;

function writePage(words: string) {
  mkdirSync(join(root, 'src/web'), { recursive: true });
  mkdirSync(join(root, 'shaders'), { recursive: true });
  writeFileSync(join(root, 'src/web/index.html'), `<!doctype html><title>${words}</title>`);
}

/** Every file of the project but the packages, with its size and time of change. */
function files() {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => !path.startsWith('node_modules'))
    .sort()
    .map((path) => [path, statSync(join(root, path)).mtimeMs, statSync(join(root, path)).size]);
}

const silence = { status: 0, stdout: '', stderr: '' };

describe('the set-up', () => {
  it('builds once, and does nothing where nothing is missing', () => {
    expect(setUp().stderr).toMatch(/^Building/);
    const before = files();
    expect(setUp()).toEqual(silence);
    expect(setUp(['--test'])).toEqual(silence);
    expect(files()).toEqual(before);
  });

  it.runIf(long)('builds the page once, and again after a source or a kernel changed', () => {
    const page = () => readFileSync(join(root, 'dist/web/index.html'), 'utf8');
    writePage('one');
    expect(setUp(['--web']).stderr).toMatch(/^Building \.\.\.\nBuilding the page into dist\/web/);
    expect(page()).toContain('one');
    expect(setUp(['--web'])).toEqual(silence);
    writePage('two');
    expect(setUp(['--web']).stderr).toMatch(/^Building the page/);
    expect(page()).toContain('two');
    writeFileSync(join(root, 'shaders/x.wgsl'), '// another');
    expect(setUp(['--web']).stderr).toMatch(/^Building the page/);
    rmSync(join(root, 'src/web/index.html'));
    const failed = setUp(['--web']);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toMatch(/The page could not be built; the messages above say why\.\n$/);
  });

  it.runIf(long && nobodyCanRead)(
    'of another user, who cannot write here, has what is built, or is told who can build it',
    () => {
      chmodSync(root, 0o755);
      writePage('one');
      const told = asNobody(join(root, 'scripts/setup.mjs'), '--web');
      expect([told.status, told.stdout]).toEqual([1, '']);
      expect(told.stderr).toMatch(
        /^Something is still to be installed or built, and nothing can be written into .* \(EACCES\)\. Run this once as/,
      );
      setUp(['--web']);
      expect(asNobody(join(root, 'scripts/setup.mjs'), '--web')).toEqual(silence);
    },
  );

  it.runIf(long)('builds again after a source changed, an output vanished or a build failed', () => {
    setUp();
    writeFileSync(join(root, 'src/cli/main.ts'), '// something\n');
    expect(setUp().stderr).toMatch(/^Building/);

    rmSync(join(root, 'dist/cli/main.js'));
    expect(setUp().stderr).toMatch(/^Building/);

    // What reports are made of is built as well, from markup and styles.
    mkdirSync(join(root, 'src/report'));
    writeFileSync(join(root, 'src/report/index.html'), '<!doctype html>');
    expect(setUp().stderr).toMatch(/^Building/);
    rmSync(join(root, 'dist/report/template.html'));
    expect(setUp().stderr).toMatch(/^Building/);

    writeFileSync(join(root, 'src/cli/main.ts'), '// something else\n');
    cpSync(join(root, 'build.mjs'), join(root, 'good.mjs'));
    writeFileSync(join(root, 'build.mjs'), 'console.log("src/cli/main.ts is wrong"); process.exit(1);');
    for (const _ of ['once', 'twice']) {
      const failed = setUp();
      expect(failed).toMatchObject({ status: 1, stdout: '' });
      expect(failed.stderr).toMatch(/is wrong\n.*The build failed/s);
    }
    cpSync(join(root, 'good.mjs'), join(root, 'build.mjs'));
    expect(setUp()).toMatchObject({ status: 0, stderr: expect.stringMatching(/^Building/) });
    expect(setUp()).toEqual(silence);
  });

  it('is part of the scripts themselves: npm leaves out what goes before one where a user has ignore-scripts', () => {
    const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
    // npm's own, when it packs: `npm pack` by a user without scripts packs what is built.
    const before = Object.keys(scripts).filter((name) => /^(pre|post)/.test(name) && name !== 'prepack');
    expect(before).toEqual([]);
    for (const name of ['start', 'test', 'demo', 'build:web', 'bench', 'bench:peers', 'bench:synth']) {
      expect(scripts[name]).toMatch(/^node scripts\/setup\.mjs( --\w+)?( && |$)/);
    }

    const own = { start: scripts.start, build: 'node build.mjs' };
    writeFileSync(join(root, 'package.json'), JSON.stringify({ scripts: own }));
    const { status, stderr } = spawnSync('npm', ['start', '--silent', '--', '--version'], {
      cwd: root,
      encoding: 'utf8',
      shell: process.platform === 'win32',
      env: { ...process.env, SAE_NO_INSTALL: '1', npm_config_ignore_scripts: 'true' },
    });
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^Building/)]);
  });

  it.runIf(long)(
    'keeps all others out while one has the lock, also where several find one that is stale',
    async () => {
      mkdirSync(join(root, 'dist'));
      // Nobody has that number.
      writeFileSync(join(root, 'dist/.setup.lock'), '4194304999');
      const script = `
      import { appendFileSync } from 'node:fs';
      import { setTimeout } from 'node:timers/promises';
      import { takeLock } from ${JSON.stringify(pathToFileURL(join(root, 'scripts/setup/lock.mjs')))};
      await setTimeout(Number(process.argv[1]) - Date.now());
      await takeLock();
      appendFileSync('log', '+');
      await setTimeout(20);
      appendFileSync('log', '-');`;
      const at = Date.now() + 1000;
      const processes = Array.from({ length: 8 }, () =>
        promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, String(at)], {
          cwd: root,
        }),
      );
      await Promise.all(processes);
      expect(readFileSync(join(root, 'log'), 'utf8')).toBe('+-'.repeat(8));
    },
  );

  it('says which command installs the packages, and installs none, with SAE_NO_INSTALL', () => {
    rmSync(join(root, 'node_modules'));
    const { status, stderr } = setUp();
    expect(status).toBe(1);
    expect(stderr).toMatch(/^[^\n]*Run: npm ci[^\n]*\n$/);
    expect(existsSync(join(root, 'node_modules'))).toBe(false);
  });

  it('wants the packages of the lock-file, no others', () => {
    const file = join(root, 'package-lock.json');
    const lock = JSON.parse(readFileSync(file, 'utf8'));
    const webgpu = lock.packages['node_modules/webgpu'];
    for (const other of [{ ...webgpu, version: '0.0.1' }, { ...webgpu, integrity: 'sha512-' }, undefined]) {
      lock.packages['node_modules/webgpu'] = other;
      writeFileSync(file, JSON.stringify(lock));
      expect(setUp()).toMatchObject({ status: 1, stderr: expect.stringContaining('npm ci') });
    }
  });

  it.skipIf(process.platform !== 'linux')(
    'says how to get an adapter, and installs none, with SAE_NO_INSTALL',
    () => {
      setUp();
      const none = { VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' };
      const { status, stdout, stderr } = setUp([], none);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(/^Dawn, which runs WebGPU here, finds no adapter on this machine.*Install/);
      if (readSystem().id === 'debian') {
        expect(stderr).toMatch(/\n {2}(sudo )?apt-get install .*mesa-vulkan-drivers libvulkan1\n$/);
      }
    },
  );

  it.runIf(long)('does not wait for one that is gone', () => {
    mkdirSync(join(root, 'dist'));
    writeFileSync(join(root, 'dist/.setup.lock'), '999999999');
    expect(setUp()).toMatchObject({ status: 0 });
    expect(existsSync(join(root, 'dist/.setup.lock'))).toBe(false);
  });
});
