/**
 * What a person, the command line or the extension can ask of a linked folder's peer, and what it tells them. The same
 * interface is served in-process, over the control socket and over the extension's pipe; every value is plain JSON.
 */
export type PeerStateName = 'error' | 'paused' | 'offline' | 'scanning' | 'syncing' | 'conflict' | 'idle';

export type ErrorCode =
  | 'root-missing'
  | 'root-replaced'
  | 'root-emptied'
  | 'mass-deletion-held'
  | 'mass-deletion-incoming'
  | 'disk-held'
  | 'scope-held'
  | 'disk-full'
  | 'wrong-key'
  | 'relay-key-changed'
  | 'refused'
  | 'relay-full'
  | 'relay-busy'
  | 'relay-failed'
  | 'relay-damaged'
  | 'checkpoint-unconfirmed'
  | 'update-needed'
  | 'cloned'
  | 'internal';

/** One value, the first that holds, in the order of PeerStateName. Flags stand beside it. */
export interface PeerState {
  readonly state: PeerStateName;
  /** With state `error`. */
  readonly code?: ErrorCode;
  readonly reason?: string;
  /** What to do next, e.g. a command line. */
  readonly next?: string;
  /** With code `relay-key-changed`: the identity that the relay shows, 64 hexadecimal digits. */
  readonly relayKey?: string;
  /** This peer has ended over a fault of its own and tries nothing again: only a start anew may help. */
  readonly stopped?: true;
  readonly pending: number;
  readonly conflicts: number;
  /** Long work under way. */
  readonly progress?: {
    readonly phase: string;
    readonly done: number;
    readonly total: number;
    readonly unit: 'files' | 'bytes' | 'records';
  };
  /** Some changes are told by no event, and found by looking. */
  readonly watchingByRescan: boolean;
  /** Why, and what to do ('' = nothing); `directories`: how many it concerns, null = the whole folder. */
  readonly unwatched?: { readonly directories: number | null; readonly reason: string; readonly next: string };
  /** The whole folder is looked at this often, whatever events tell; absent while no peer runs. */
  readonly sweepPeriodMs?: number;
  /** ISO time of the end of the last look at the whole folder, by a scan or a sweep of this run; null: not yet. */
  readonly wholeFolderLookedAt?: string | null;
  /** A change of the room waits until an editor's unsaved edits of the same file are saved or given up. */
  readonly waitingForUnsavedEdits: boolean;
  /** With it: which. */
  readonly waitingPaths?: readonly WaitingPath[];
}

/** A file that a window holds with edits that are not saved. */
export interface UnsavedEdit {
  readonly path: string;
  /** Hex digest of the UTF-8 text that the buffer held when it last equalled the file; null: not known. */
  readonly loaded: string | null;
  /** The version of the room that was merged into the buffer since (`mergeUnsaved`); null: none. */
  readonly merged: string | null;
}

/**
 * The edits that bring a version of the room into a buffer: character ranges in UTF-16 units of the text that was given. `waits`:
 * it does not merge, and waits until the file is saved. `later`: the relay did not give what it takes in time, and may when it is
 * asked again.
 */
export type BufferMerge =
  | {
      readonly kind: 'merged';
      readonly version: string;
      readonly edits: readonly { readonly start: number; readonly end: number; readonly text: string }[];
    }
  | { readonly kind: 'waits' }
  | { readonly kind: 'later' };

export interface WaitingPath {
  readonly path: string;
  /** Hex digest of the room's content; null: the room holds no file there any more. */
  readonly version: string | null;
}

/**
 * Why something waits for a person: files that would be deleted here or on the other machines; another root, or an empty one;
 * a disk mounted inside the folder that is away; files that come into scope and were never meant to leave this machine; a record that
 * this version does not understand.
 */
export type HoldKind = 'deletions' | 'root' | 'disk' | 'scope' | 'record' | 'checkpoint';

/** One thing that waits for a person. A confirmation of it covers exactly what it lists. */
export interface HoldInfo {
  /** 8 hex digits over what it covers: when that becomes another set, this becomes another id. */
  readonly id: string;
  readonly kind: HoldKind;
  /** What is held: what this machine would send, or what it would apply; null when it is neither. */
  readonly direction: 'outgoing' | 'incoming' | null;
  readonly code: ErrorCode;
  readonly reason: string;
  /** How many paths it covers. */
  readonly count: number;
  /** The first 1,000 of them, in path order. */
  readonly paths: readonly string[];
  /** Whose change is held, when it is another device's. */
  readonly author: string | null;
  /** It would delete files, and the other answer is that they stay. */
  readonly declinable: boolean;
}

export interface InviteText {
  /** Carries the room's secret. */
  readonly invite: string;
  /** It names the relay's identity; else whoever joins with it trusts the relay that it meets first. */
  readonly pinsRelay: boolean;
}

/** Which hold is confirmed or declined; without either, the only one. */
export interface HoldChoice {
  readonly id?: string;
  readonly kind?: HoldKind;
}

export interface ConflictInfo {
  readonly path: string;
  readonly variants: readonly {
    readonly id: string;
    readonly device: string;
    readonly time: string;
    readonly size: number;
    readonly mine: boolean;
  }[];
  /** What the disk here holds: the room's entry, or this peer's variant. */
  readonly holds: 'theirs' | 'mine';
}
export interface ProblemInfo {
  readonly path: string;
  readonly reason: string;
  /** Of a path that the ignore rules leave out: the file, line and pattern, or the default. */
  readonly rule?: string;
}
export interface PeerInfo {
  readonly device: string;
  readonly name: string;
  readonly online: boolean;
  /** ISO time it was last heard of, or null. */
  readonly lastSeen: string | null;
  readonly height: number | null;
  /** Whether it has the same folder at the record that this machine is at; null: it is not here, or at another record. */
  readonly agrees: boolean | null;
}

export interface Status extends Omit<PeerState, 'conflicts' | 'progress'> {
  readonly dir: string;
  readonly room: string;
  readonly device: string;
  readonly name: string;
  readonly conflicts: readonly ConflictInfo[];
  readonly peers: readonly PeerInfo[];
  readonly files: number;
  readonly problems: readonly ProblemInfo[];
  readonly holds: readonly HoldInfo[];
  readonly head: { readonly height: number; readonly id: string } | null;
  readonly root: string;
  readonly outOfScope: number;
  /** The same by reason. */
  readonly outOfScopeByReason: Readonly<Record<string, number>>;
  /** Conflict copies that lie beside their files, until somebody merges and deletes them; the first 1,000. */
  readonly conflictCopies: readonly string[];
  /** The first 1,000, with reasons. */
  readonly outOfScopePaths: readonly ProblemInfo[];
  readonly relay: string;
  readonly running: boolean;
  readonly lastChange: {
    readonly path: string;
    /** null: nobody that is known, as of what was brought back. */
    readonly by: string | null;
    readonly time: string;
  } | null;
}

export interface VerifyResult {
  readonly ok: boolean;
  readonly root: string;
  readonly head: { readonly height: number; readonly id: string } | null;
  readonly files: number;
  readonly bytes: number;
  readonly differenceCount: number;
  /** The first 1,000. */
  readonly differences: readonly ProblemInfo[];
  /** Paths of the room that take no part on this machine: how many for each reason, and the first of them by name. */
  readonly leftOut: Readonly<Record<string, number>>;
  readonly leftOutPaths: readonly ProblemInfo[];
  /** Names of the devices that are here, at the same record, and have the same root. Those that have another one are differences. */
  readonly agreeing: readonly string[];
}

export type Keep = 'mine' | 'theirs' | 'both';

export interface ControlAnswer {
  readonly ok: boolean;
  /** A sentence for people. */
  readonly message: string;
}

/** `holds`: the one that was confirmed or declined; of a refusal, those to choose from. */
export interface ConfirmAnswer extends ControlAnswer {
  readonly holds: readonly HoldInfo[];
}

/** Bytes of a conflict's sides in base64; null: that side is absent, or `missing`. */
export interface ConflictSides {
  readonly base: string | null;
  readonly mine: string | null;
  readonly theirs: string | null;
  /** Sides that this machine does not hold and the relay did not give. */
  readonly missing?: readonly ('base' | 'theirs')[];
}

export interface PeerControl {
  status(): Promise<Status>;
  verify(): Promise<VerifyResult>;
  conflicts(): Promise<readonly ConflictInfo[]>;
  resolve(path: string, keep: Keep): Promise<ControlAnswer>;
  /** For diff views. From what is here, and from the relay where it answers at once. */
  conflictSides(path: string): Promise<ConflictSides>;
  explain(path: string): Promise<{ readonly lines: readonly string[] }>;
  pause(): Promise<ControlAnswer>;
  resume(): Promise<ControlAnswer>;
  holds(): Promise<readonly HoldInfo[]>;
  /** Never more than one hold, and never one that is another by now. */
  confirm(choice?: HoldChoice): Promise<ConfirmAnswer>;
  /** The other answer to a held deletion: what is gone here comes back from the room, what is gone there is sent again. */
  decline(choice?: HoldChoice): Promise<ConfirmAnswer>;
  untrack(path: string): Promise<ControlAnswer>;
  invite(): Promise<InviteText>;
  /** Accepts exactly this identity key of the relay, 64 hexadecimal digits: at once if it is what the relay shows (`relayKey`), else when it does. */
  trustRelay(key: string): Promise<ControlAnswer>;
  /**
   * This window has these unsaved edits and no others: as long as it says so, the files on disk stay as they are. Holds
   * when this returns. Over the control socket a window is its connection, whatever its name, and the first 20,000 files count.
   */
  holdUnsaved(window: string, edits: readonly UnsavedEdit[]): Promise<null>;
  /** The connection of that window is lost: what it said ends 10 s later, unless it says it again. */
  windowLost(window: string): Promise<null>;
  /** Merges what of the room waits for this file into the text of its buffer. `merged`: as in UnsavedEdit. */
  mergeUnsaved(path: string, text: string, merged: string | null): Promise<BufferMerge>;
  /** What was just saved at this path was made from that version of the room, which `mergeUnsaved` gave: said before the hold ends. */
  savedMerged(path: string, merged: string): Promise<null>;
}

/** What a running peer tells, as it happens. The command line adds `time` and `dir`. */
export type PeerEvent =
  | ({ readonly event: 'state' } & PeerState)
  | { readonly event: 'applied'; readonly path: string; readonly by?: string; readonly deleted?: boolean }
  | { readonly event: 'sent'; readonly path: string; readonly deleted?: boolean }
  | { readonly event: 'conflict'; readonly path: string; readonly reason: string; readonly device: string }
  | { readonly event: 'resolved'; readonly path: string }
  | { readonly event: 'problem'; readonly path: string; readonly reason: string }
  | { readonly event: 'note'; readonly path: string; readonly note: string }
  /** A join brings, or brought, files that run code where they lie; the first 50 of them. */
  | {
      readonly event: 'runnable';
      readonly when: 'joining' | 'joined';
      readonly files: readonly { readonly path: string; readonly why: string }[];
      readonly count: number;
    }
  | { readonly event: 'peer'; readonly name: string; readonly online: boolean };

export type ConflictPolicy = 'ask' | 'keep-both' | 'newest';
