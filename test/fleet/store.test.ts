import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { lengths, storeSuite } from '../support/stores.js';

// What test/node/store/conformance.test.ts does, with real servers and for longer. SAE_TEST_STORE=s3://BUCKET/PREFIX, with
// credentials as AWS's tools expect them, names one more: it costs some ten thousand requests.

const counts = { races: 2000, additions: 500, sequences: 300, slept: 150, files: lengths };
const real = Object.entries(process.env).filter(([name]) => name.startsWith('AWS_'));

const folder = mkdtempSync(join(tmpdir(), 'sae-store-'));
afterAll(() => rmSync(folder, { recursive: true }));
storeSuite('a folder', async () => ({ store: folder, environment: {} }), { ...counts, slept: 1000 });

const { SAE_RADOSGW, SAE_RADOSGW_BUCKET, SAE_RADOSGW_ID, SAE_RADOSGW_SECRET, SAE_TEST_STORE } = process.env;

describe.skipIf(!SAE_RADOSGW)('radosgw', () => {
  const environment = {
    AWS_ENDPOINT_URL_S3: SAE_RADOSGW!,
    AWS_ACCESS_KEY_ID: SAE_RADOSGW_ID!,
    AWS_SECRET_ACCESS_KEY: SAE_RADOSGW_SECRET!,
  };
  storeSuite('a bucket', async () => ({ store: `s3://${SAE_RADOSGW_BUCKET}/suite`, environment }), {
    ...counts,
    races: 1000,
    additions: 100,
  });
});

describe.skipIf(!SAE_TEST_STORE)('a server that the environment names', () => {
  const environment = Object.fromEntries(real) as Record<string, string>;
  storeSuite('a bucket', async () => ({ store: SAE_TEST_STORE!, environment }), {
    ...counts,
    races: 200,
    additions: 50,
  });
});
