/**
 * Whether a Node can run Driftless. Plain JavaScript that any Node understands, so that a sentence comes first and not the
 * error of a missing module. The floor itself stands in package.json, where npm looks for it too.
 */
import { readFileSync } from 'node:fs';

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const [floorMajor, floorMinor] = engines.node.match(/\d+/g).map(Number);

/** null: this Node will do. Otherwise what is wrong and what to do, for people. */
export function nodeTrouble(version = process.versions.node) {
  const [major, minor] = version.split('.').map(Number);
  if (major > floorMajor || (major === floorMajor && minor >= floorMinor)) return null;
  return (
    `driftless: needs Node ${floorMajor}.${floorMinor} or newer; this is ${version} (${process.execPath}). ` +
    'Install a newer Node. On Linux with glibc and on Windows x64, `npm ci` in the checkout of Driftless brings one.'
  );
}
