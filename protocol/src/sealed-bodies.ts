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
  /** Of the room at `recordId`, as the sender has it: who is at the same record and has another one is forked, damaged, or lies. */
  readonly root: Root;
  /** Who was heard a moment ago: what a relay plays again later names nothing that was said since. */
  readonly echoes: readonly PresenceEcho[];
  /** Keyed hashes of paths that are open in an editor, 32 hex digits each. Reserved: sent empty. */
  readonly editing: readonly string[];
}

export interface PresenceEcho {
  /** 16 hex digits: the first eight bytes of SHA-256(device ‖ run). */
  readonly who: string;
  /** The newest `n` that was heard of it. */
  readonly n: number;
}
