/**
 * SIGUSR1 opens Node's inspector in a running process, and whoever reaches that port reads its memory, keys included: any process of the same
 * user may send the signal, also where the system lets none of them debug another. A listener takes the signal from Node, on every
 * Node; the option `--disable-sigusr1` would do the same, and those below 22.14 refuse to start with it.
 */

/** Once, before any key is read. `--inspect` at the start, by whoever starts it, goes on working. */
export function ignoreInspectorSignal(): void {
  process.on('SIGUSR1', () => undefined);
}
