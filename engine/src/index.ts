/** What other packages use of the engine: linked folders, their control, and the words for both. */
export type {
  BufferMerge,
  ConfirmAnswer,
  ConflictInfo,
  ConflictPolicy,
  ConflictSides,
  ControlAnswer,
  ErrorCode,
  HoldChoice,
  HoldInfo,
  HoldKind,
  InviteText,
  Keep,
  PeerControl,
  PeerEvent,
  PeerInfo,
  PeerState,
  PeerStateName,
  ProblemInfo,
  Status,
  UnsavedEdit,
  VerifyResult,
  WaitingPath,
} from './control.ts';
export { selfTestCrypto } from './crypto/self-test.ts';
export {
  type FolderHost,
  HostError,
  type HostErrorCode,
  type Link,
  type LinkSecrets,
  type OpenOptions,
  type RunningFolder,
  type SecretStore,
} from './host-api.ts';
export { parseInvite } from './invite-code.ts';
export { keepMemoryOutOfCoreDumps } from './node/core-dumps.ts';
export { createFileSecrets } from './node/file-secrets.ts';
export { createFolderHost, type FolderHostOptions } from './node/folder-host.ts';
export { type Home, homePathOf, openHome } from './node/home.ts';
export { ignoreInspectorSignal } from './node/inspector-signal.ts';
export type { Log } from './ports/log.ts';
