import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What other tests at the same time would disturb: it asks how soon. */
const alone = ['test/web/at-rest.test.ts'];
const site = ['test/web/**/*.test.ts'];

/** What takes longest begins first, so that no core is idle at the end: without a cache, vitest knows only how large files are. */
const long = [
  'web/t',
  'step/parity',
  'web/',
  'gpu/gemm',
  'cli/lost',
  'cli/readme',
  'runtimes/',
  'training/default-job',
  'training/trainer',
  'gpu/tuner',
  'cli/',
  'step/',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId, project }: TestSpecification) => {
      const at = long.findIndex((part) => moduleId.includes(`/${part}`));
      return project.config.sequence.groupOrder * 100 + (at < 0 ? long.length : at);
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig(({ mode }) => ({
  test: {
    // A core a file. Mesa's compiler, which takes most of the time, uses one.
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    projects: [
      // `--mode long` is `npm run test:long`.
      project('engine', { include: ['test/**/*.test.ts'], exclude: site, env: { SAE_TESTS: mode } }),
      project('page', { include: site, exclude: alone, globalSetup: 'test/support/site.ts' }),
      project('alone', { include: alone, globalSetup: 'test/support/site.ts', sequence: { groupOrder: 1 } }),
    ].map(({ test }) => ({ test: { ...test, env: { SAE_TESTS: mode } } })),
  },
}));

function project(name: string, own: object) {
  return {
    test: {
      name,
      setupFiles: ['test/support/seed.ts'],
      // Dawn keeps one instance a process: a process a file, so that one file's device cannot disturb another's.
      pool: 'forks' as const,
      testTimeout: 120_000,
      hookTimeout: 120_000,
      // What a page comes to show may take it seconds on a busy machine; a second is the default.
      expect: { poll: { timeout: 30_000 } },
      ...own,
    },
  };
}
