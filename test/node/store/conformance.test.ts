import { join } from 'node:path';
import { afterAll } from 'vitest';
import { limits } from '../../../src/node/store/s3-client.js';
import { long } from '../../support/long.js';
import { S3Server } from '../../support/s3-server.js';
import { lengths, storeSuite } from '../../support/stores.js';
import { temporaryFolder } from '../data/folder.js';

// `npm run test:fleet` does the same with a real server, and thousands of races.
const counts = long
  ? { races: 24, additions: 20, sequences: 30, slept: 20, files: lengths }
  : { races: 12, additions: 10, sequences: 10, slept: 20, files: lengths.slice(0, 5) };

const folder = temporaryFolder();
storeSuite(
  'a folder',
  async () => ({ store: join(folder.path, 'new/store'), environment: {} }),
  // Old versions are removed meanwhile.
  { ...counts, slept: 230 },
);

limits.pause = 5;
const servers: S3Server[] = [];
afterAll(() => Promise.all(servers.map((server) => server.close())));
for (const conditions of ['kept', 'unquoted', 'conflict'] as const) {
  storeSuite(
    `a bucket whose conditions are ${conditions}`,
    async () => {
      const server = await new S3Server().listen();
      servers.push(server);
      server.conditions = conditions;
      server.pageLength = 7;
      return { store: `s3://${server.bucket}/some/prefix`, environment: server.environment };
    },
    conditions === 'kept' ? counts : { ...counts, races: 0, files: [70_001] },
  );
}
