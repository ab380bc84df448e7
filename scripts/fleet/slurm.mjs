// A Slurm cluster of three nodes on this machine, without systemd and cgroups, that listens on 127.0.0.1 alone.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { find, freePort, launch, need, until } from './machine.mjs';

export const name = 'slurm';

const nodes = ['n1', 'n2', 'n3'];

export async function start() {
  need(['slurmctld', 'slurmd', 'sbatch', 'munged'], ['slurmctld', 'slurmd', 'slurm-client', 'munge']);
  const folder = mkdtempSync(join(tmpdir(), 'sae-slurm-'));
  // munged wants folders in which nobody else can put a socket.
  chmodSync(folder, 0o755);
  for (const name of ['munge', 'state', 'spool', 'jobs']) mkdirSync(join(folder, name), { mode: 0o755 });
  const config = join(folder, 'slurm.conf');
  const env = { SLURM_CONF: config, SAE_SLURM_FOLDER: folder };
  Object.assign(process.env, env);
  const ports = [];
  while (ports.length < nodes.length + 1) ports.push(await freePort());
  writeFileSync(config, configuration(folder, ports));
  const devices = nodes.map((_, index) => join(folder, `gpu${index}`));
  // Any device will do: Slurm counts them.
  for (const device of devices) execFileSync('mknod', [device, 'c', '1', '3']);
  writeFileSync(
    join(folder, 'gres.conf'),
    nodes.map((node, i) => `NodeName=${node} Name=gpu File=${devices[i]}\n`).join(''),
  );
  const servers = [];
  const stop = async () => {
    await empty();
    for (const server of servers.reverse()) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    servers.push(await startMunge(join(folder, 'munge')));
    servers.push(launch([find('slurmctld') ?? '', '-D', '-c'], join(folder, 'slurmctld.out')));
    for (const node of nodes) servers.push(startNode(node, folder));
    await until('Slurm', () => idle() === nodes.length, { log: join(folder, 'slurmctld.log'), seconds: 60 });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    env: {
      ...env,
      SAE_SLURM_NODES: servers
        .slice(2)
        .map(({ pid }) => pid)
        .join(' '),
    },
    stop,
  };
}

/** @param {string} node @param {string} folder of the cluster */
export function startNode(node, folder) {
  return launch([find('slurmd') ?? '', '-D', '-N', node], join(folder, `slurmd-${node}.out`));
}

/** What one of Slurm's programs prints. @param {string} program @param {string[]} args */
export function slurm(program, ...args) {
  return execFileSync(find(program) ?? program, args, {
    encoding: 'utf8',
    stdio: 'pipe',
    timeout: 20_000,
  }).trim();
}

/** How many nodes wait for work. */
export function idle() {
  try {
    return slurm('sinfo', '-h', '-N', '-o', '%N %t')
      .split('\n')
      .filter((line) => / idle$/.test(line)).length;
  } catch {
    return 0;
  }
}

/** Ends all jobs. Where a node's server ended before them, what watches them would stay behind. */
async function empty() {
  try {
    slurm('scancel', '-u', 'root');
    await until('the end of all jobs', () => slurm('squeue', '-h') === '', { seconds: 30 });
  } catch {
    // There is no server.
  }
}

async function startMunge(/** @type {string} */ folder) {
  const key = join(folder, 'munge.key');
  writeFileSync(key, randomBytes(1024), { mode: 0o400 });
  const [uid, gid] = ['-u', '-g'].map((flag) =>
    Number(execFileSync('id', [flag, 'munge'], { encoding: 'utf8' })),
  );
  for (const path of [folder, key]) chownSync(path, uid, gid);
  const files = {
    'key-file': key,
    socket: 'munge.sock',
    'pid-file': 'pid',
    'log-file': 'log',
    'seed-file': 'seed',
  };
  const args = Object.entries(files).map(
    ([name, file]) => `--${name}=${join(folder, file.replace(folder, ''))}`,
  );
  const log = join(folder, '..', 'munged.out');
  const command = [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    find('munged') ?? '',
    '-F',
    ...args,
  ];
  const server = launch(command, log);
  await until('munged', () => existsSync(join(folder, 'munge.sock')), { log });
  return server;
}

function configuration(/** @type {string} */ folder, /** @type {number[]} */ [port, ...ports]) {
  const at = (/** @type {string} */ name) => join(folder, name);
  const node =
    'NodeHostname=localhost NodeAddr=127.0.0.1 CPUs=1 Boards=1 SocketsPerBoard=1 CoresPerSocket=1 ThreadsPerCore=1 RealMemory=1000 Gres=gpu:1';
  return `ClusterName=sae
GresTypes=gpu
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that is put back waits for as long as credentials live: 121 seconds if it is not said.
AuthInfo=socket=${at('munge/munge.sock')},cred_expire=5
CredType=cred/munge
SlurmctldPort=${port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=${at('state')}
SlurmdSpoolDir=${at('spool')}/%n
SlurmctldPidFile=${at('slurmctld.pid')}
SlurmdPidFile=${at('slurmd')}-%n.pid
SlurmctldLogFile=${at('slurmctld.log')}
SlurmdLogFile=${at('slurmd')}-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=10
KillWait=5
MinJobAge=300
MaxArraySize=1001
JobRequeue=1
${nodes.map((name, index) => `NodeName=${name} Port=${ports[index]} ${node} State=UNKNOWN`).join('\n')}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;
}
