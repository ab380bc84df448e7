import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EngineError } from '../../../src/gpu/errors.js';
import { limits } from '../../../src/node/store/s3-client.js';
import { s3Settings } from '../../../src/node/store/s3-settings.js';
import { openStore } from '../../../src/node/store/store.js';
import { ConfigError } from '../../../src/sae/errors.js';
import { S3Server } from '../../support/s3-server.js';
import { decode, encode } from '../../support/stores.js';
import { failure, temporaryFolder } from '../data/folder.js';

Object.assign(limits, { pause: 2 });
const folder = temporaryFolder();
const server = await new S3Server().listen();
afterAll(() => server.close());
mkdirSync(join(folder.path, '.aws'));
const credentialsFile = join(folder.path, '.aws/credentials');

const before = { ...process.env };
beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  process.env.HOME = folder.path;
});
afterEach(() => {
  process.env = { ...before };
  server.fault = () => undefined;
});

describe('the settings of a bucket', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };

  // Addresses as in https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
  it.each([
    [{}, 'bucket', 'https://bucket.s3.us-east-1.amazonaws.com/', 'us-east-1'],
    [{ AWS_REGION: 'eu-west-3' }, 'bucket', 'https://bucket.s3.eu-west-3.amazonaws.com/', 'eu-west-3'],
    [{ AWS_DEFAULT_REGION: 'eu-west-3' }, 'a.b', 'https://s3.eu-west-3.amazonaws.com/a.b/', 'eu-west-3'],
    [{ AWS_REGION: 'cn-north-1' }, 'bucket', 'https://bucket.s3.cn-north-1.amazonaws.com.cn/', 'cn-north-1'],
    [{ AWS_ENDPOINT_URL: 'http://host:9000' }, 'bucket', 'http://host:9000/bucket/', 'us-east-1'],
    [
      { AWS_ENDPOINT_URL: 'http://other', AWS_ENDPOINT_URL_S3: 'https://host/path/' },
      'bucket',
      'https://host/path/bucket/',
      'us-east-1',
    ],
    [
      { AWS_ENDPOINT_URL_S3: 'https://s3.eu-west-3.amazonaws.com', AWS_REGION: 'eu-west-3' },
      'bucket',
      'https://bucket.s3.eu-west-3.amazonaws.com/',
      'eu-west-3',
    ],
  ])('of %o, %s', async (environment, bucket, base, region) => {
    Object.assign(process.env, keys, environment);
    const settings = await s3Settings(bucket);
    expect([settings.base.href, settings.region]).toEqual([base, region]);
    expect(await settings.credentials()).toEqual({ accessKeyId: 'id', secretAccessKey: 'secret' });
  });

  it("are read from the files of AWS's tools, and the environment's keys come before a profile's", async () => {
    writeFileSync(
      credentialsFile,
      '[default]\naws_access_key_id = d\naws_secret_access_key=ds\n\n# more\n[lab]\r\naws_access_key_id=l\r\naws_secret_access_key = l=s+/\r\naws_session_token = t\r\n',
    );
    writeFileSync(
      join(folder.path, '.aws/config'),
      '[default]\nregion = eu-west-1\n[profile  lab]\nregion=eu-west-2 ; near\nendpoint_url = http://lab:1\ns3 =\n  region = nested\n[lab]\nregion = wrong\n',
    );
    const first = await s3Settings('bucket');
    expect(first.region).toBe('eu-west-1');
    expect(await first.credentials()).toEqual({ accessKeyId: 'd', secretAccessKey: 'ds' });
    process.env.AWS_PROFILE = 'lab';
    const second = await s3Settings('bucket');
    expect([second.region, second.base.href]).toEqual(['eu-west-2', 'http://lab:1/bucket/']);
    expect(await second.credentials()).toEqual({
      accessKeyId: 'l',
      secretAccessKey: 'l=s+/',
      sessionToken: 't',
    });
    Object.assign(process.env, keys, { AWS_SESSION_TOKEN: 'own' });
    expect(await (await s3Settings('bucket')).credentials()).toEqual({
      accessKeyId: 'id',
      secretAccessKey: 'secret',
      sessionToken: 'own',
    });
    process.env.AWS_PROFILE = 'nobody';
    expect(await failure(ConfigError, () => s3Settings('bucket'))).toBe(
      'AWS_PROFILE is nobody, and neither file in ~/.aws has a profile of that name.',
    );
  });
});

describe('a bucket that cannot be opened', () => {
  const refusal = async (environment: object, name = 's3://the-bucket/x', of = ConfigError) => {
    Object.assign(process.env, server.environment, environment);
    const message = await failure(of, () => openStore(name));
    for (const secret of [server.id, server.secret, 'AKIAWRONG', 'wrong-secret']) {
      expect(message).not.toContain(secret);
    }
    return message.replaceAll(/127\.0\.0\.1:\d+/g, 'HOST');
  };

  it.each([
    [
      { AWS_SECRET_ACCESS_KEY: 'wrong-secret' },
      's3://the-bucket/x',
      'The credentials for the store s3://the-bucket/x are refused: HOST answered 403 (SignatureDoesNotMatch); AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID.',
    ],
    [
      { AWS_ACCESS_KEY_ID: 'AKIAWRONG' },
      's3://the-bucket/x',
      'The credentials for the store s3://the-bucket/x are refused: HOST answered 403 (InvalidAccessKeyId); it does not know AWS_ACCESS_KEY_ID.',
    ],
    [
      {},
      's3://no-such-bucket',
      'There is no bucket for the store s3://no-such-bucket at HOST. Make it, or correct its name.',
    ],
    [
      { AWS_ENDPOINT_URL_S3: 'http://id:wrong-secret@host' },
      's3://the-bucket/x',
      'The address of the S3 endpoint, in AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile, is expected as http://HOST:PORT or https://HOST.',
    ],
    [
      { AWS_ENDPOINT_URL_S3: 'host:9000' },
      's3://the-bucket/x',
      'The address of the S3 endpoint, in AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile, is expected as http://HOST:PORT or https://HOST.',
    ],
    [
      {},
      's3://AKIAWRONG:wrong-secret@the-bucket',
      'The store is expected as s3://BUCKET/PREFIX; the name of a bucket has 3 to 63 lower-case letters, digits, dots and hyphens.',
    ],
    [
      {},
      's3://the-bucket/a b',
      'The prefix in s3://BUCKET/PREFIX may have ASCII letters, digits, slashes and _=+@,.- alone.',
    ],
    [{}, 'gs://the-bucket', 'A store is a folder or s3://BUCKET/PREFIX, and gs:// is neither.'],
    [
      { AWS_ACCESS_KEY_ID: '', AWS_SHARED_CREDENTIALS_FILE: '/nowhere' },
      's3://the-bucket/x',
      'There are no credentials for S3: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor keys of the profile default in ~/.aws. Set them; where AWS\'s command line has others, such as those of a role, eval "$(aws configure export-credentials --format env)" does that.',
    ],
  ])('says why: %#', async (environment, name, sentence) => {
    expect(await refusal(environment, name)).toBe(sentence);
  });

  it('says that a server has run away, does not speak S3, or has the bucket elsewhere', async () => {
    const other = createServer((_, response) => response.end('<html>Welcome</html>'));
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const open = (environment: object) =>
      refusal(environment, 's3://the-bucket/x', EngineError as typeof ConfigError);
    const check = 'Check AWS_ENDPOINT_URL_S3 and the network, and try again.';
    expect(await open({ AWS_ENDPOINT_URL_S3: url })).toBe(
      `The store s3://the-bucket/x cannot be used: HOST answers as no S3 server does. ${check}`,
    );
    other.closeAllConnections();
    await new Promise((done) => other.close(done));
    expect(await open({ AWS_ENDPOINT_URL_S3: url })).toBe(
      `The store s3://the-bucket/x cannot be used: HOST refused the connection. ${check}`,
    );
    expect(await open({ AWS_ENDPOINT_URL_S3: 'http://nowhere.invalid' })).toBe(
      `The store s3://the-bucket/x cannot be used: nowhere.invalid is not known by name here (no network?). ${check}`,
    );
    // As AWS answers to another region's address.
    server.fault = () => ({
      status: 400,
      code: 'AuthorizationHeaderMalformed</Code><Region>eu-west-3</Region><Code>x',
    });
    expect(await refusal({})).toBe(
      'The bucket of the store s3://the-bucket/x is in the region eu-west-3, not in us-east-1. Set AWS_REGION=eu-west-3.',
    );
  });
});

it('takes newer credentials where those that it has have run out', async () => {
  const write = (id: string) =>
    writeFileSync(
      credentialsFile,
      `[default]\naws_access_key_id = ${id}\naws_secret_access_key = ${server.secret}\naws_session_token = t-${id}\n`,
    );
  write(server.id);
  process.env.AWS_ENDPOINT_URL_S3 = server.endpoint;
  const store = await openStore('s3://the-bucket/x');
  const old = server.id;
  const tokens: (string | undefined)[] = [];
  server.fault = ({ headers }) => {
    const token = headers['x-amz-security-token'];
    tokens.push(token);
    if (token === 't-NEWER') Object.assign(server, { id: 'NEWER' });
    return token === `t-${old}` && tokens.length > 1 ? { status: 400, code: 'ExpiredToken' } : undefined;
  };
  try {
    await store.create('a', encode('a'));
    write('NEWER');
    expect(decode((await store.read('a'))?.bytes)).toBe('a');
    expect(tokens).toEqual([`t-${old}`, `t-${old}`, 't-NEWER']);
  } finally {
    Object.assign(server, { id: old });
  }
});
