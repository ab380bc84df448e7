import { join } from 'node:path';
import { addBackports, addBackportsCommands, hasBackports, install, removeBackports } from './apt.mjs';
import { isRoot, mayInstall, quietly, root, SetupError, say } from './run.mjs';
import { driverFor, readSystem } from './system.mjs';

const why = 'Dawn, which runs WebGPU here, finds no adapter on this machine';

/** An adapter for Dawn: a GPU with its driver, or Mesa's software Vulkan driver. */
export const adapter = {
  isDone() {
    const { status, output } = quietly(process.execPath, [join(root, 'scripts/setup/find-adapter.mjs')]);
    if (status === 3) {
      throw new SetupError(
        `Dawn, which runs WebGPU here, cannot be loaded (${output.split('\n')[0]}). It is made for Windows, macOS, and Linux with glibc 2.34 or later (Alpine has another C library), on x64 and arm64; on these, install the packages again: npm ci`,
      );
    }
    return status === 0;
  },
  make() {
    const system = readSystem();
    const driver = driverFor(system);
    if (!driver.apt || !isRoot() || !mayInstall()) {
      const forbidden = driver.apt && !mayInstall() ? ', and SAE_NO_INSTALL is set' : '';
      throw new SetupError(`${why}${forbidden}. ${advice(system, driver)}`);
    }
    installWithApt(system, driver);
    if (!this.isDone()) {
      throw new SetupError(
        `${why}, though Mesa's Vulkan driver (${driver.packages.join(', ')}) is installed. Dawn needs a newer one than Mesa 22: see what there is with: vulkaninfo --summary (package vulkan-tools)`,
      );
    }
  },
};

function installWithApt(system, { packages, backports }) {
  const suite = backports && `${system.codename}-backports`;
  say(
    `No WebGPU adapter found: installing Mesa's software Vulkan driver with apt (${packages.join(', ')}) ...`,
  );
  if (suite && !hasBackports(suite)) addBackports(suite, system.codename);
  try {
    install(packages, suite);
  } catch (error) {
    // A mirror without that suite would fail every later update of this machine.
    if (suite) removeBackports();
    throw error;
  }
}

/** What to run by hand. */
function advice(system, driver) {
  const sudo = isRoot() ? '' : 'sudo ';
  if (driver.sentence) return driver.sentence;
  if (!driver.apt)
    return `Install Mesa's software Vulkan driver, or your GPU's. Run: ${sudo}${driver.command}`;
  const suite = driver.backports && `${system.codename}-backports`;
  const commands = [
    ...(suite && !hasBackports(suite) ? addBackportsCommands(suite, system.codename, sudo) : []),
    `${sudo}apt-get update`,
    `${sudo}apt-get install ${suite ? `-t ${suite} ` : ''}${driver.packages.join(' ')}`,
  ];
  return `Install Mesa's software Vulkan driver, or your GPU's. Run:\n  ${commands.join('\n  ')}`;
}
