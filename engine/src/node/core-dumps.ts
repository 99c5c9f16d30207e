/**
 * Keys lie in this process's memory, and a crash may write that to a disk, or to a collector of crash reports. On Linux a process says itself
 * what a dump of it may hold, and its children take that over: no memory at all, so that registers and the list of mappings are left,
 * whatever the limit on dumps and wherever they go. Other systems have no such word for a program without native code (docs/security.md).
 */
import { writeFileSync } from 'node:fs';

/** Of the process itself; Linux alone has it. */
const filterFile = '/proc/self/coredump_filter';

/** Once, before any key is read. Without `/proc`, as in some sandboxes, a dump stays what the system makes it. */
export function keepMemoryOutOfCoreDumps(): void {
  if (process.platform !== 'linux') return;
  try {
    writeFileSync(filterFile, '0');
  } catch {
    // Nothing to do for a person here, and nothing that hinders the work.
  }
}
