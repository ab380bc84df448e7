// radosgw of Ceph 16, a real server of S3 with conditional writes: a monitor, a store in memory and the gateway, on 127.0.0.1.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AwsClient } from 'aws4fetch';
import { find, freePort, launch, need, until } from './machine.mjs';

export const name = 'radosgw';

const cluster = '11111111-2222-3333-4444-555555555555';
const disk = '99999999-2222-3333-4444-555555555555';
const bucket = 'fleet';
const [id, secret] = ['FLEETTESTS', 'secret-of-the-tests'];

export async function start() {
  need(
    ['radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-osd', 'ceph', 'monmaptool'],
    ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-common'],
  );
  const folder = mkdtempSync(join(tmpdir(), 'sae-ceph-'));
  for (const name of ['run', 'mon', 'osd', 'rgw']) mkdirSync(join(folder, name));
  const at = (/** @type {string} */ file) => join(folder, file);
  const [monitor, port] = [await freePort(), await freePort()];
  const env = { CEPH_CONF: at('ceph.conf') };
  writeFileSync(env.CEPH_CONF, configuration(folder, monitor, port));
  const run = (/** @type {string} */ program, /** @type {string[]} */ ...args) =>
    promisify(execFile)(find(program) ?? program, args, { env: { ...process.env, ...env }, timeout: 60_000 });
  const serve = (/** @type {string} */ program, /** @type {string[]} */ ...args) => {
    const server = launch([find(program) ?? program, '-f', ...args], at(`${program}.out`), env);
    servers.push(server);
    return server;
  };
  const servers = [];
  const stop = async () => {
    for (const server of servers.reverse()) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const address = `[v1:127.0.0.1:${monitor}/0]`;
    await run('monmaptool', '--create', '--fsid', cluster, '--addv', 'a', address, at('monmap'));
    await run('ceph-mon', '--mkfs', '--fsid', cluster, '-i', 'a', '--monmap', at('monmap'));
    serve('ceph-mon', '-i', 'a');
    const made = () =>
      run('ceph', '--connect-timeout', '8', 'osd', 'new', disk).then(
        ({ stdout }) => stdout.trim() === '0',
        () => false,
      );
    await until('the monitor of Ceph', made, { log: at('ceph-mon.out'), seconds: 60 });
    await run('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', disk);
    let osd = serve('ceph-osd', '-i', '0');
    const up = async () => {
      // It may not know its monitor yet, and end.
      if (osd.ended()) osd = serve('ceph-osd', '-i', '0');
      const { stdout } = await run('ceph', 'osd', 'stat').catch(() => ({ stdout: '' }));
      return stdout.includes('1 up');
    };
    await until('the store of Ceph', up, { log: at('ceph-osd.out'), seconds: 60, every: 300 });
    const gateway = serve('radosgw', '-n', 'client.rgw');
    const endpoint = `http://127.0.0.1:${port}`;
    const answers = () =>
      gateway.ended() ||
      fetch(endpoint).then(
        () => true,
        () => false,
      );
    await until('radosgw', answers, { log: at('radosgw.out'), seconds: 60 });
    await run(
      'radosgw-admin',
      'user',
      'create',
      '--uid',
      'fleet',
      '--display-name',
      'fleet',
      '--access-key',
      id,
      '--secret-key',
      secret,
    );
    const client = new AwsClient({
      accessKeyId: id,
      secretAccessKey: secret,
      service: 's3',
      region: 'us-east-1',
    });
    const { status } = await client.fetch(`${endpoint}/${bucket}`, { method: 'PUT' });
    if (status !== 200) throw new Error(`radosgw answered ${status} to a new bucket`);
    return {
      env: {
        SAE_RADOSGW: endpoint,
        SAE_RADOSGW_BUCKET: bucket,
        SAE_RADOSGW_ID: id,
        SAE_RADOSGW_SECRET: secret,
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function configuration(
  /** @type {string} */ folder,
  /** @type {number} */ monitor,
  /** @type {number} */ port,
) {
  return `[global]
fsid = ${cluster}
mon host = [v1:127.0.0.1:${monitor}/0]
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
osd objectstore = memstore
memstore device bytes = 2147483648
osd memory target = 939524096
admin socket = ${folder}/run/$name.$pid.asok
log file = ${folder}/$name.log
pid file = ${folder}/run/$name.pid
run dir = ${folder}/run
mon data = ${folder}/mon
osd data = ${folder}/osd
rgw data = ${folder}/rgw
debug ms = 0
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${port}
rgw thread pool size = 32
rgw enable usage log = false
`;
}
