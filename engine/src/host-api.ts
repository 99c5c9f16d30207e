/**
 * Linked folders on this machine: where their state and keys lie, who owns them, how to run them. Built by `createFolderHost`
 * (engine/src/node/folder-host.ts) and used by the command line and by the extension's engine process.
 */
import type { ConflictPolicy, InviteText, PeerControl, PeerEvent, UnsavedEdit } from './control.ts';
import type { Log } from './ports/log.ts';

/** Non-secret facts of one link, kept as JSON (0600) below the home. */
export interface Link {
  /** 16 hex characters; names the state directory, the control socket and the secrets of this link. */
  readonly id: string;
  /** Real absolute path of the root. */
  readonly dir: string;
  readonly room: string;
  readonly urls: readonly string[];
  /** Hex, or null before first contact. */
  readonly relayKey: string | null;
  /** Device that gave the invite; null: the room was begun here, or the invite does not say. */
  readonly inviter: string | null;
  readonly name: string;
  readonly policy: ConflictPolicy;
  /** Random text that is also in the root's marker together with the room. */
  readonly marker: string;
  /** The root was in this room before the state of this link was made (rule TOMB): its marker named the room, or the state was damaged. */
  readonly rejoin: boolean;
  /** Wall clock: when this folder was unlinked from this very room before; null = not that this machine knows. */
  readonly leftAtMs: number | null;
  readonly createdAt: string;
}

/** The secret half of a link. Never in JSON that is logged, never in arguments or environment. */
export interface LinkSecrets {
  /** 32 bytes. */
  readonly roomSecret: Uint8Array;
  /** 32 bytes: seed of the device's Ed25519 key. */
  readonly deviceSeed: Uint8Array;
}
/** Where secrets live: 0600 files for the headless peer; the extension hands them over its channel from SecretStorage. */
export interface SecretStore {
  get(linkId: string): Promise<LinkSecrets | undefined>;
  set(linkId: string, secrets: LinkSecrets): Promise<void>;
  delete(linkId: string): Promise<void>;
}

export interface RunningFolder {
  readonly link: Link;
  readonly control: PeerControl;
  /** All that whoever opened it has unsaved. */
  holdUnsaved(edits: readonly UnsavedEdit[]): Promise<null>;
  close(): Promise<void>;
}

export interface OpenOptions {
  readonly policy?: ConflictPolicy;
  readonly allowMassDelete?: boolean;
  readonly onEvent: (event: PeerEvent) => void;
  readonly log: Log;
  /** What whoever opens it holds unsaved from before the first look at the room on; `RunningFolder.holdUnsaved` replaces it. */
  readonly unsaved?: readonly UnsavedEdit[];
}

export interface FolderHost {
  links(): Promise<readonly Link[]>;
  /** The link whose root is `dir` (real path compared). */
  linkOf(dir: string): Promise<Link | undefined>;
  /**
   * Makes a room and links `dir` to it; no relay need be up. On a linked folder: its existing link. Like `join`, it holds the
   * folder's lock from its last check on until `open`, `unlink` or `close`: refused, it has changed nothing.
   */
  share(options: {
    readonly dir: string;
    readonly urls: readonly string[];
    readonly name: string;
    readonly policy: ConflictPolicy;
    readonly allowPlain?: boolean;
  }): Promise<{ readonly link: Link } & InviteText>;
  /** Makes a missing dir. */
  join(options: {
    readonly invite: string;
    readonly dir: string;
    readonly name: string;
    readonly policy: ConflictPolicy;
    readonly allowPlain?: boolean;
  }): Promise<Link>;
  /**
   * Forgets state and secrets; the files stay; `.driftless/` goes unless its trash holds bytes that are in no record. After a
   * failure the link is still there and the call can be repeated.
   */
  unlink(dir: string): Promise<void>;
  invite(dir: string): Promise<InviteText>;
  /** Runs the peer: takes the lock, serves the control socket. Fails with HostError 'owned' naming the owner. */
  open(dir: string, options: OpenOptions): Promise<RunningFolder>;
  /** The running owner's control through its socket, else one over the stored state. */
  control(dir: string): Promise<PeerControl & { close(): Promise<void> }>;
  /** The running owner's control through its socket, for as long as it is wanted; undefined: nobody answers. */
  attach(dir: string): Promise<(PeerControl & { close(): Promise<void> }) | undefined>;
  close(): Promise<void>;
}

export type HostErrorCode =
  | 'not-linked'
  | 'linked'
  | 'owned'
  | 'nested'
  | 'bad-invite'
  | 'bad-url'
  | 'bad-dir'
  | 'bad-home'
  | 'plain-refused'
  | 'state'
  | 'missing-secret';

/** Expected by callers: one sentence with the next step. */
export class HostError extends Error {
  readonly code: HostErrorCode;
  constructor(code: HostErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'HostError';
    this.code = code;
  }
}
