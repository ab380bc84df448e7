import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { globSync } from 'tinyglobby';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What other tests at the same time would disturb: it asks how soon. */
const alone = ['test/web/at-rest.long.test.ts'];
const site = ['test/web/**/*.test.ts'];
/** What needs servers, which scripts/test-fleet.mjs starts. */
const fleet = ['test/fleet/**/*.test.ts'];
/** What computes for longer than it compiles. */
const jobs = ['test/sae/training/default-job.test.ts', 'test/sae/sparsity/defaults.test.ts'];
const files = globSync('test/**/*.test.ts').map((file) => ({ file, text: readFileSync(file, 'utf8') }));
/** Whose parts of `src` are replaced by others, which takes transformed modules. */
const mocking = files
  .filter(({ text }) => /\bvi\.(mock|hoisted|resetModules)\(/.test(text))
  .map(({ file }) => file);
/** What the file's text says of a test: whether it opens a device, and whether another file would see what it changes. */
const tests = globSync([
  'test/{gpu,sae}/**/*.test.ts',
  'test/node/{data,fleet,metrics,pictures,queue}/*.test.ts',
  'test/reference/checks/*.test.ts',
  'test/scripts/{apt-sources,check,peers,system}.test.ts',
  'test/support/*.test.ts',
  'test/cli/*.test.ts',
])
  .map((file) => ({ file, text: readFileSync(file, 'utf8') }))
  .filter(
    ({ text }) => !/\bvi\.(mock|hoisted|stubEnv)\(|process\.env\.\w+ = |\bopenGpu\b|from 'webgpu'/.test(text),
  );
const others = tests.filter(({ file }) => !file.startsWith('test/cli/'));
/** Where files need no device and leave nothing behind: they follow each other in a process, whose start and imports take longer than they do. */
const bare = others.filter(({ text }) => !/\bgpuOfFile\b/.test(text)).map(({ file }) => file);
/** The same for files that run `sae` in processes, of which one serves them all. */
const cli = tests.filter((test) => !others.includes(test)).map(({ file }) => file);
/** The same for files that compute on a device, each on its own, and lose or destroy none. */
const sharing = others
  .filter(
    ({ file, text }) => /\bgpuOfFile\b/.test(text) && !/\.destroy\(\)/.test(text) && !jobs.includes(file),
  )
  .map(({ file }) => file);
/**
 * What `npm test` leaves out: files that are long by their nature. What `npm run test:long` leaves out: files without a test that asks
 * for `long` of test/support/long.ts, other than these. So each test is in one of both.
 */
function leftOut(mode: string): string[] {
  return globSync('test/**/*.test.ts').filter((file) => {
    const whole = file.endsWith('.long.test.ts');
    return mode === 'long' ? !whole && !readFileSync(file, 'utf8').includes('support/long.js') : whole;
  });
}

/**
 * Mesa's compiler, which takes most of the time, does without LLVM's optimisations, with which it takes half as long again. They change
 * how fast a kernel is, and none of its bits. `GALLIVM_PERF= npm test` has them, as users do.
 */
const compiler = { GALLIVM_PERF: process.env.GALLIVM_PERF ?? 'nopt' };

/**
 * The projects in the order in which their files run. Those of a project whose files share processes come one after another: vitest ends
 * such a process where the next file is another project's. The shortest files come last, so that no core is idle at the end.
 */
const projects = ['page', 'jobs', 'mocking', 'engine', 'cli', 'sharing', 'bare'];
/** What takes longest begins first in its project: without a cache, vitest knows only how large files are. */
const long = [
  'web/t',
  'web/page',
  'web/firefox',
  'runtimes/deno',
  'node/store/conformance',
  'runtimes/',
  'sparse/parity',
  'step/parity',
  'sparse/lists',
  'scripts/check',
  'cli/lost',
  'cli/resume',
  'cli/options',
  'cli/readme',
  'cli/sweep',
  'cli/train',
  'training/trainer',
  'gpu/gemm',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId, project }: TestSpecification) => {
      const at = long.findIndex((part) => moduleId.includes(`/${part}`));
      const of = projects.indexOf(project.name);
      return (project.config.sequence.groupOrder * 100 + of) * 100 + (at < 0 ? long.length : at);
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig(({ mode }) => ({
  test: {
    // Mesa's compiler, which takes most of the time, uses one core. More files at once than there are cores, since many wait for a
    // server, for a page, or for what is imported.
    maxWorkers: availableParallelism() + 2,
    sequence: { sequencer: LongestFirst },
    // `--mode fleet` is `npm run test:fleet`, and `--mode long` is `npm run test:long`.
    projects:
      mode === 'fleet'
        ? [project('fleet', mode, { include: fleet })]
        : [
            project(
              'engine',
              mode,
              {
                include: ['test/**/*.test.ts'],
                exclude: [
                  '**/node_modules/**',
                  ...site,
                  ...jobs,
                  ...bare,
                  ...cli,
                  ...sharing,
                  ...mocking,
                  ...fleet,
                ],
                globalSetup: 'test/support/checked.ts',
              },
              compiler,
            ),
            project(
              'cli',
              mode,
              { include: cli, isolate: false, globalSetup: 'test/support/checked.ts' },
              compiler,
            ),
            project('bare', mode, { include: bare, isolate: false }),
            project('sharing', mode, { include: sharing, isolate: false }, compiler),
            project('mocking', mode, { include: mocking, alias: [] }, compiler),
            project('jobs', mode, { include: jobs }),
            project(
              'page',
              mode,
              { include: site, exclude: alone, globalSetup: 'test/support/site.ts' },
              compiler,
            ),
            project('alone', mode, {
              include: alone,
              globalSetup: 'test/support/site.ts',
              sequence: { groupOrder: 1 },
            }),
          ],
  },
}));

/** What `tsc` has built, in the place of its source: node loads it as it is, where vite would transform it for each process. */
const built = {
  find: /^(\.\.\/)+src\/(gpu|sae|node|cli)\//,
  replacement: fileURLToPath(new URL('dist/$2/', import.meta.url)),
};

function project(
  name: string,
  mode: string,
  { exclude = [], ...own }: { exclude?: string[]; [name: string]: unknown },
  env: Record<string, string> = {},
) {
  return {
    test: {
      name,
      setupFiles: ['test/support/seed.ts'],
      // What is built needs no transformation.
      server: { deps: { external: [/\/dist\//] } },
      env: { SAE_TESTS: mode, ...env },
      // Dawn keeps one instance a process: a process a file, but for those that leave it as it was.
      pool: 'forks' as const,
      testTimeout: 120_000,
      hookTimeout: 120_000,
      // What a page comes to show may take it seconds on a busy machine; a second is the default.
      expect: { poll: { timeout: 30_000 } },
      alias: [built],
      exclude: [...exclude, ...leftOut(mode)],
      ...own,
    },
  };
}
