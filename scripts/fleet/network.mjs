// Three machines in a network of their own: namespaces of Linux on a bridge, for what happens when one is cut off.
import { execFileSync } from 'node:child_process';
import { find, need } from './machine.mjs';

export const name = 'network';

const hub = `sae-${process.pid}-hub`;
/** The one with the server, and two with workers. */
const machines = ['q', 'a', 'b'].map((letter) => `sae-${process.pid}-${letter}`);

export async function start() {
  need(['ip', 'sysctl'], ['iproute2', 'procps']);
  try {
    make();
  } catch (error) {
    remove();
    throw error;
  }
  return { env: { SAE_FLEET_MACHINES: machines.join(' '), SAE_FLEET_HUB: hub }, stop: async () => remove() };
}

/** The address of a machine. Outside of this network, it only reaches loopback: nothing can leave by mistake. */
export function addressOf(/** @type {number} */ index) {
  return `127.77.0.${index + 1}`;
}

/** What comes before a command that is to run on a machine. @param {string} machine */
export function on(machine) {
  return [find('ip') ?? 'ip', 'netns', 'exec', machine];
}

/** Pulls a machine's cable out, or puts it in. @param {string} machine @param {'up' | 'down'} state */
export function cable(machine, state) {
  ip('-n', process.env.SAE_FLEET_HUB ?? hub, 'link', 'set', machine, state);
}

function make() {
  ip('netns', 'add', hub);
  ip('-n', hub, 'link', 'add', 'br0', 'type', 'bridge');
  ip('-n', hub, 'link', 'set', 'br0', 'up');
  machines.forEach((machine, index) => {
    ip('netns', 'add', machine);
    ip('-n', machine, 'link', 'set', 'lo', 'up');
    // Loopback keeps one address, and the others lead through the cable.
    ip('-n', machine, 'addr', 'del', '127.0.0.1/8', 'dev', 'lo');
    ip('-n', machine, 'addr', 'add', '127.0.0.1/32', 'dev', 'lo');
    ip('link', 'add', machine, 'netns', hub, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', machine);
    ip('-n', hub, 'link', 'set', machine, 'master', 'br0', 'up');
    const [program, ...args] = [...on(machine), 'sysctl', '-qw', 'net.ipv4.conf.eth0.route_localnet=1'];
    execFileSync(program, args, { stdio: 'pipe' });
    ip('-n', machine, 'addr', 'add', `${addressOf(index)}/24`, 'dev', 'eth0');
    ip('-n', machine, 'link', 'set', 'eth0', 'up');
  });
}

function remove() {
  for (const one of [...machines, hub]) {
    try {
      ip('netns', 'del', one);
    } catch {
      // It was not made.
    }
  }
}

function ip(/** @type {string[]} */ ...args) {
  execFileSync(find('ip') ?? 'ip', args, { stdio: 'pipe' });
}
