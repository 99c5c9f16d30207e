/** Run as a process of its own by a test, and killed: writes 100 files a transaction and says how many it finished. */
import type { Digest, RelPath } from '@driftless/protocol';
import type { Fingerprint } from '../../core/local-entry.ts';
import { openStateStore } from '../sqlite-state-store.ts';

const store = openStateStore({ file: process.argv[2] ?? '', holdsModes: true });
const fingerprint = '1.2.3.4' as Fingerprint;
const digest = 'ab'.repeat(32) as Digest;
for (let transaction = 1; transaction <= 10_000; transaction += 1) {
  store.transaction(() => {
    for (let index = 0; index < 100; index += 1) {
      const path = `f-${transaction}-${index}` as RelPath;
      store.setLocal(path, {
        kind: 'file',
        digest,
        size: 1,
        executable: false,
        private: false,
        openToOthers: true,
        mtimeMs: 1,
        fingerprint,
        racy: false,
      });
    }
    store.setSetting('written', String(transaction));
  });
  process.stdout.write(`written ${transaction}\n`);
}
