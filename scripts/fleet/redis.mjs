// Redis, for the queue of a fleet: see test/fleet/queue.test.ts. Valkey is started in the same way.
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../setup/run.mjs';
import { find, freePort, launch, need, until } from './machine.mjs';

export const name = 'redis';

/** Its servers are started by tests themselves, which kill them as well. */
export async function start() {
  need(['redis-server'], ['redis-server']);
  return { env: { SAE_REDIS_SERVER: find('redis-server') }, stop: async () => {} };
}

const certificates = join(root, 'test/fixtures/tls');

/**
 * A server on free ports of 127.0.0.1 with files in a temporary folder: TCP and TLS with a password, and a socket of Unix.
 * @param {string} program redis-server or valkey-server
 * @param {{ password?: string, settings?: Record<string, string>, prefix?: readonly string[], host?: string }} [options]
 * settings of its configuration file; `prefix` is a command that runs it elsewhere, as in a network namespace
 */
export async function makeServer(
  program,
  { password = 'sécret:/@?', settings = {}, prefix = [], host = '127.0.0.1' } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'sae-fleet-'));
  const [port, tlsPort] = [await freePort(), await freePort()];
  const socket = join(folder, 'socket');
  const log = join(folder, 'log');
  const file = join(folder, 'server.conf');
  const user = password ? `:${encodeURIComponent(password)}@` : '';
  /** @type {ReturnType<typeof launch> | undefined} */
  let running;
  const server = {
    folder,
    log,
    port,
    url: `redis://${user}${host}:${port}`,
    tls: `rediss://${user}localhost:${tlsPort}`,
    unix: `unix://${user}${socket}`,
    pid: () => running?.pid ?? 0,
    /** Starts it, or starts it anew with what its append-only file has. @param {Record<string, string>} more settings for this time */
    async start(more = {}) {
      const all = {
        port: `${port}`,
        bind: host,
        'tls-port': `${tlsPort}`,
        'tls-cert-file': join(certificates, 'cert.pem'),
        'tls-key-file': join(certificates, 'key.pem'),
        'tls-ca-cert-file': join(certificates, 'cert.pem'),
        'tls-auth-clients': 'no',
        unixsocket: socket,
        unixsocketperm: '700',
        ...(password && { requirepass: `"${password}"` }),
        appendonly: 'yes',
        appendfsync: 'everysec',
        save: '""',
        'maxmemory-policy': 'noeviction',
        dir: folder,
        'enable-debug-command': 'local',
        ...settings,
        ...more,
      };
      const lines = Object.entries(all).map(([key, value]) => `${key} ${value}\n`);
      // A password in its arguments would be seen by everybody.
      writeFileSync(file, lines.join(''), { mode: 0o600 });
      chmodSync(file, 0o600);
      rmSync(socket, { force: true });
      running = launch([...prefix, program, file], log);
      await until(`${program}`, () => running?.ended() || (existsSync(socket) && isOpen(socket)), { log });
      if (running.ended()) await until(`${program}, which ended`, () => false, { log, seconds: 0 });
    },
    /** @param {NodeJS.Signals} [signal] */
    async stop(signal) {
      await running?.stop(signal);
    },
    /** Takes away what it keeps for its next start. */
    forget() {
      for (const kept of ['appendonlydir', 'dump.rdb'])
        rmSync(join(folder, kept), { recursive: true, force: true });
    },
    async remove() {
      await running?.stop('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

/** @param {string} path @returns {Promise<boolean>} */
function isOpen(path) {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
