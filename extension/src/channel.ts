/**
 * What the extension and its engine process say to each other: JSON-RPC over the channel that `fork` gives. Both ends are built
 * from this file into one package, so there are no versions here. Keys travel in `secret/*` alone, in neither arguments nor
 * environment.
 */
import type {
  BufferMerge,
  ConfirmAnswer,
  ConflictInfo,
  ConflictPolicy,
  ConflictSides,
  ControlAnswer,
  HoldInfo,
  HostErrorCode,
  InviteText,
  Keep,
  PeerEvent,
  Status,
  UnsavedEdit,
  VerifyResult,
} from '@driftless/engine';
import { NotificationType, RequestType } from 'vscode-jsonrpc/node';

export interface LinkFacts {
  readonly id: string;
  readonly dir: string;
  readonly room: string;
  readonly urls: readonly string[];
  readonly name: string;
}

/** Keys of a link, each base64 of 32 bytes. Never logged. */
export interface SecretText {
  readonly roomSecret: string;
  readonly deviceSeed: string;
}

export interface OpenParams {
  readonly dir: string;
  readonly policy: ConflictPolicy;
  /** What this window has unsaved there, from before the first change of the room is applied. */
  readonly unsaved: readonly UnsavedEdit[];
}
export interface ShareParams extends OpenParams {
  readonly urls: readonly string[];
  readonly name: string;
  /** Plain `ws://` that leaves the machine was agreed to. */
  readonly allowPlain: boolean;
}
export interface JoinParams extends OpenParams {
  readonly invite: string;
  readonly name: string;
  readonly allowPlain: boolean;
}

/** What a person may know about an invite before using it. */
export type InvitePreview =
  | { readonly kind: 'valid'; readonly from: string; readonly urls: readonly string[] }
  | { readonly kind: 'invalid'; readonly reason: string };

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}
export interface EventBatch {
  readonly dir: string;
  readonly events: readonly PeerEvent[];
  /** Events of single paths that were left out of an over-full batch. */
  readonly leftOut: number;
}

/** Data of the error that answers a refused request: its message is a sentence for people. */
export interface RefusalData {
  readonly code: HostErrorCode;
}
/** JSON-RPC error code of a refusal that carries RefusalData. */
export const refusalCode = 1;
/** … and of a request that was cancelled and undone. */
export const cancelledCode = 2;

// The extension asks.
/** First on every channel: answered when the engine has checked its platform and opened its home. */
export const helloRequest = new RequestType<null, { readonly node: string; readonly pid: number }, void>('hello');
export const linkOfRequest = new RequestType<{ readonly dir: string }, LinkFacts | null, void>('linkOf');
export const openRequest = new RequestType<OpenParams, LinkFacts, RefusalData>('open');
/** Stops the peer of a folder; the link stays. */
export const closeRequest = new RequestType<{ readonly dir: string }, null, void>('close');
export const shareRequest = new RequestType<ShareParams, LinkFacts, RefusalData>('share');
export const joinRequest = new RequestType<JoinParams, LinkFacts, RefusalData>('join');
export const unlinkRequest = new RequestType<{ readonly dir: string }, null, RefusalData>('unlink');
export const inviteRequest = new RequestType<{ readonly dir: string }, InviteText, RefusalData>('invite');
export const previewInviteRequest = new RequestType<{ readonly text: string }, InvitePreview, void>('previewInvite');

export const statusRequest = new RequestType<{ readonly dir: string }, Status, RefusalData>('status');
export const verifyRequest = new RequestType<{ readonly dir: string }, VerifyResult, RefusalData>('verify');
export const conflictsRequest = new RequestType<{ readonly dir: string }, readonly ConflictInfo[], RefusalData>(
  'conflicts',
);
export const resolveRequest = new RequestType<
  { readonly dir: string; readonly path: string; readonly keep: Keep },
  ControlAnswer,
  RefusalData
>('resolve');
export const explainRequest = new RequestType<
  { readonly dir: string; readonly path: string },
  { readonly lines: readonly string[] },
  RefusalData
>('explain');
export const holdsRequest = new RequestType<{ readonly dir: string }, readonly HoldInfo[], RefusalData>('holds');
interface HoldShown {
  readonly dir: string;
  readonly id: string;
}
/** Lets one hold go, as it was shown; refused when it is another by now. */
export const confirmRequest = new RequestType<HoldShown, ConfirmAnswer, RefusalData>('confirm');
/** Keeps what it would delete; else the same. */
export const declineRequest = new RequestType<HoldShown, ConfirmAnswer, RefusalData>('decline');
export const conflictSidesRequest = new RequestType<
  { readonly dir: string; readonly path: string },
  ConflictSides,
  RefusalData
>('conflictSides');
/** All that this window has unsaved in a folder; said to whoever keeps it in sync, this engine or another process. */
export const holdUnsavedRequest = new RequestType<
  { readonly dir: string; readonly edits: readonly UnsavedEdit[] },
  null,
  RefusalData
>('holdUnsaved');
export const mergeUnsavedRequest = new RequestType<
  { readonly dir: string; readonly path: string; readonly text: string; readonly merged: string | null },
  BufferMerge,
  RefusalData
>('mergeUnsaved');
export const savedMergedRequest = new RequestType<
  { readonly dir: string; readonly path: string; readonly version: string },
  null,
  RefusalData
>('savedMerged');
export type PlainAction = 'pause' | 'resume';
export const actionRequest = new RequestType<
  { readonly dir: string; readonly action: PlainAction },
  ControlAnswer,
  RefusalData
>('action');
export const trustRelayRequest = new RequestType<
  { readonly dir: string; readonly key: string },
  ControlAnswer,
  RefusalData
>('trustRelay');

// The engine asks.
export const secretGetRequest = new RequestType<{ readonly linkId: string }, SecretText | null, void>('secret/get');
export const secretSetRequest = new RequestType<{ readonly linkId: string; readonly secrets: SecretText }, null, void>(
  'secret/set',
);
export const secretDeleteRequest = new RequestType<{ readonly linkId: string }, null, void>('secret/delete');

// The engine tells.
export const eventsNotification = new NotificationType<EventBatch>('events');
export const logNotification = new NotificationType<{ readonly lines: readonly LogLine[]; readonly leftOut: number }>(
  'log',
);
