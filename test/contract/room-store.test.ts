/** Runs the contract of RoomStore for each implementation. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryRoomStore } from '../../relay/src/store/memory-room-store.ts';
import { sqliteRoomStore } from '../../relay/src/store/sqlite-room-store.ts';
import { roomStoreContract } from './room-store.contract.ts';

roomStoreContract('memory', {
  durable: false,
  create: async () => ({
    open: async (quotas) => memoryRoomStore({ storeId: new Uint8Array(16), ...(quotas && { quotas }) }),
    cleanUp: async () => {},
  }),
});

roomStoreContract('sqlite', {
  durable: true,
  create: async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'driftless-store-'));
    return {
      open: (quotas) => sqliteRoomStore({ dataDir, ...(quotas && { quotas }) }),
      cleanUp: () => rm(dataDir, { recursive: true }),
    };
  },
});
