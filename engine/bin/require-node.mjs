/** Preloaded by the npm scripts (`node --import …`): ends a process whose Node is too old before its program is even read. */
import { nodeTrouble } from './node-floor.mjs';

const trouble = nodeTrouble();
if (trouble !== null) {
  process.stderr.write(`${trouble}\n`);
  process.exit(2);
}
