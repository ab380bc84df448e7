import { readFileSync } from 'node:fs';

/**
 * @typedef {object} System
 * @property {string} platform Node's name: linux, darwin, win32
 * @property {string} id os-release's ID, '' where there is none
 * @property {string[]} like os-release's ID_LIKE
 * @property {string} version os-release's VERSION_ID, '' for a rolling distribution
 * @property {string} codename os-release's VERSION_CODENAME
 */

/** @returns {System} */
export function readSystem() {
  for (const file of ['/etc/os-release', '/usr/lib/os-release']) {
    try {
      return parseSystem(process.platform, readFileSync(file, 'utf8'));
    } catch {
      // the next one
    }
  }
  return parseSystem(process.platform, '');
}

/**
 * @param {string} platform
 * @param {string} osRelease the text of os-release(5)
 * @returns {System}
 */
export function parseSystem(platform, osRelease) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const [, name, value] of osRelease.matchAll(/^\s*([A-Z_]+)=(.*?)\s*$/gm)) {
    fields[name] = value.replace(/^(["'])(.*)\1$/, '$2');
  }
  return {
    platform,
    id: fields.ID ?? '',
    like: (fields.ID_LIKE ?? '').split(/\s+/).filter(Boolean),
    version: fields.VERSION_ID ?? '',
    codename: fields.VERSION_CODENAME ?? '',
  };
}

/**
 * How this system gets a Vulkan driver that Dawn accepts. `apt`: by apt, which the set-up may call itself; `command`: one
 * for its user to run (as root); `sentence`: what to say where no command is known.
 * @param {System} system
 * @returns {{ apt?: boolean, packages?: string[], backports?: boolean, command?: string, sentence?: string }}
 */
export function driverFor({ platform, id, like, version }) {
  if (platform !== 'linux') return { sentence: 'Update the graphics driver and run this again.' };
  const debian = ['mesa-vulkan-drivers', 'libvulkan1'];
  // Dawn refuses Debian 12's Mesa 22.3; every later release of both has a newer one.
  if (id === 'debian') return { apt: true, packages: debian, backports: version === '12' };
  if (id === 'ubuntu') return { apt: true, packages: debian, backports: false };
  const isOf = (/** @type {string[]} */ ...names) =>
    names.includes(id) || like.some((name) => names.includes(name));
  if (isOf('debian', 'ubuntu')) return { command: `apt-get install ${debian.join(' ')}` };
  if (isOf('fedora', 'rhel')) return { command: 'dnf install mesa-vulkan-drivers vulkan-loader' };
  if (isOf('arch')) return { command: 'pacman -S --needed vulkan-swrast vulkan-icd-loader' };
  if (isOf('suse', 'opensuse')) return { command: 'zypper install libvulkan_lvp libvulkan1' };
  if (isOf('alpine')) return { command: 'apk add mesa-vulkan-swrast vulkan-loader' };
  return {
    sentence:
      "Install the Vulkan loader and a Vulkan driver with the system's package manager: a GPU's own, or Mesa's software driver (lavapipe).",
  };
}
