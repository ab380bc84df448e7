// Runs `sae` again and again in one process, for `sae` of sae.ts: of what a short run takes, most is Node's start, and the
// loading of modules and of Dawn. What to run comes as a message, { args, cwd }, and what became of it goes back as one,
// { status, stdout, stderr }.
const main = new URL('../../dist/cli/main.js', import.meta.url);
let runs = 0;

process.on('message', async ({ args, cwd }) => {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    process[name].write = (text) => {
      said[name] += text;
      return true;
    };
  }
  process.argv = [process.execPath, main.pathname, ...args];
  process.exitCode = undefined;
  process.chdir(cwd);
  // Another address each time: it runs when it is imported.
  runs += 1;
  await import(`${main}?${runs}`);
  const status = process.exitCode ?? 0;
  process.exitCode = undefined;
  // What this run listens to is none of the next one's business.
  for (const name of process.eventNames()) {
    if (/^SIG/.test(String(name))) process.removeAllListeners(name);
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error');
  }
  process.send({ status, ...said });
});
