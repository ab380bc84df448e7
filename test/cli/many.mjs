// Runs `sae` several times in one process: most of what a short run takes is Node's own start. What to run comes as JSON on
// standard input, [{ args, cwd }], and what became of each goes out as JSON, [{ status, stdout, stderr }].
import { readFileSync } from 'node:fs';

const main = new URL('../../dist/cli/main.js', import.meta.url);
const { stdout } = process;
const write = stdout.write.bind(stdout);
// Every run listens to it.
stdout.setMaxListeners(0);
process.stderr.setMaxListeners(0);

const results = [];
for (const [i, { args, cwd }] of JSON.parse(readFileSync(0, 'utf8')).entries()) {
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
  await import(`${main}?${i}`);
  results.push({ status: process.exitCode ?? 0, ...said });
}
process.exitCode = 0;
write(JSON.stringify(results));
