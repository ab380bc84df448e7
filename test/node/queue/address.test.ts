import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { checkServer, parseAddress } from '../../../src/node/queue/connect.js';
import { openQueue } from '../../../src/node/queue/queue.js';
import { ConfigError } from '../../../src/sae/errors.js';

// What needs a server is in test/fleet.
test.each([
  ['redis://host', { name: 'redis://host:6379', host: 'host', port: 6379, db: 0, prefix: 'bull' }],
  ['redis://h:7001/3', { name: 'redis://h:7001/3', port: 7001, db: 3 }],
  ['redis://:p%40%2F@h?prefix=sweeps', { name: 'redis://h:6379', password: 'p@/', prefix: 'sweeps' }],
  ['rediss://user:p@h/', { name: 'rediss://user@h:6379', username: 'user', password: 'p', tls: {} }],
  ['redis://[::1]:7', { name: 'redis://[::1]:7', host: '::1', port: 7 }],
  ['unix:///run/redis.sock?db=2', { name: 'unix:///run/redis.sock', path: '/run/redis.sock', db: 2 }],
  ['unix://:p@/run/redis.sock', { name: 'unix:///run/redis.sock', path: '/run/redis.sock', password: 'p' }],
  ['unix://u:p@/a%20b', { name: 'unix://u@/a b', path: '/a b', username: 'u' }],
])('%s', (text, expected) => {
  const { options, ...rest } = parseAddress(text);
  expect({ ...options, ...rest }).toMatchObject(expected);
});

test.each(['redis', '', 'http://h', 'amqp://h', 'redis:/h', 'redis://h/x', 'unix:///s?db=-1'])(
  'the address %j is refused',
  async (text) => {
    await expect(openQueue(text)).rejects.toThrow(ConfigError);
  },
);

test.each([
  ['6.0.16', 'standalone', '6.2 or later'],
  ['5.0.14', 'standalone', '6.2 or later'],
  ['7.2.4', 'sentinel', 'in the mode sentinel'],
])('a server of version %s in the mode %s is refused', (version, mode, sentence) => {
  const info = new Map([
    ['redis_version', version],
    ['redis_mode', mode],
    ['maxmemory_policy', 'noeviction'],
  ]);
  expect(() => checkServer('redis://h', info, () => {})).toThrow(sentence);
});

test('where the packages for it are not installed, it is said how to install them', () => {
  // A resolver that does not find them, as on most machines.
  const hooks = `export async function resolve(name, context, next) {
    if (name === 'ioredis') throw Object.assign(new Error('gone'), { code: 'ERR_MODULE_NOT_FOUND' });
    return next(name, context);
  }`;
  const script = `import { register } from 'node:module';
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}));
    const { openQueue } = await import('./dist/node/queue/queue.js');
    await openQueue('redis://:s3cret@h').catch((error) => console.log(error.message));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^redis:\/\/h:6379 is a queue of BullMQ, .*npm install bullmq@6 ioredis@5\n$/);
});
