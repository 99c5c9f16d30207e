/** The plain contents of checkpoints and presence, as they are before sealing. A record's is in change.ts. */
import type { Content } from './entry.ts';
import type { DeviceId, RecordId, Root } from './ids.ts';

/** The plain content of a checkpoint (rule CP1). `pages` is a content: the canonical list of (page hash, page content). */
export interface CheckpointBody {
  readonly height: number;
  readonly recordId: RecordId;
  readonly root: Root;
  readonly pages: Content;
  readonly device: DeviceId;
}

/** Rule PRESENCE. `device` is authenticated by its signature. */
export interface PresenceBody {
  readonly device: DeviceId;
  readonly deviceName: string;
  /** 16 hex characters, new at every start of the process. */
  readonly run: string;
  readonly n: number;
  readonly height: number;
  readonly recordId: RecordId | null;
  readonly state: string;
  /** Contents, by digest, and clear chunks, by id, that the relay lost and this peer misses: 64 hex digits each (rule GC5). */
  readonly asks: readonly string[];
}
