// What `npm start`, `npm test` and `npm run demo` do first: packages, the build, a WebGPU adapter unless with --web, and with
// --test browsers and other runtimes. Does nothing where nothing is missing. Works before any package is installed, so it has Node's
// own modules only. SAE_NO_INSTALL=1 keeps it from installing anything: it then stops with the command to run. All it says goes to
// standard error. It is called by those scripts themselves, since npm leaves out "prestart" and its like where a user's
// settings have ignore-scripts.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(
    `Node ${process.versions.node} is too old: webgpu-sae needs Node 20.19 or later. Install a newer one and run this again.`,
  );
} else {
  // Ctrl-C reaches npm and apt as well, and they need a moment to stop: this waits for them, and ends before its next step.
  process.on('SIGINT', () => process.exit(130));
  // Imported only now: an older Node could not even parse it.
  import('./setup/steps.mjs')
    .then(({ setUp }) =>
      setUp({ test: process.argv.includes('--test'), web: process.argv.includes('--web') }),
    )
    .catch((error) => setTimeout(fail, 10, process.env.DEBUG === 'sae' ? error.stack : error.message));
}

function fail(message) {
  console.error(message);
  process.exitCode = 1;
}
