/** Every id that package.json contributes, in one typed place; contributions.test.ts compares the two. */
export const commandIds = {
  connectPeer: 'driftless.connectPeer',
  pause: 'driftless.pause',
  resume: 'driftless.resume',
  disconnectFolder: 'driftless.disconnectFolder',
  copyInvite: 'driftless.copyInvite',
  showConflicts: 'driftless.showConflicts',
  explainFile: 'driftless.explainFile',
  showLog: 'driftless.showLog',
  showActions: 'driftless.showActions',
  confirmHeld: 'driftless.confirmHeld',
  trustRelay: 'driftless.trustRelay',
  stopRelay: 'driftless.stopRelay',
  acceptMine: 'driftless.acceptMine',
  acceptTheirs: 'driftless.acceptTheirs',
  keepBoth: 'driftless.keepBoth',
  nextConflict: 'driftless.nextConflict',
} as const;
export type CommandId = (typeof commandIds)[keyof typeof commandIds];

export const settingIds = {
  relayUrl: 'driftless.relayUrl',
  deviceName: 'driftless.deviceName',
  onConflict: 'driftless.onConflict',
  hostedRelayPort: 'driftless.hostedRelayPort',
} as const;
export type SettingId = (typeof settingIds)[keyof typeof settingIds];

export const extensionId = 'driftless.driftless';
/** Set while the active editor shows a conflict: the title bar's actions depend on it. */
export const conflictOpenContext = 'driftless.conflictOpen';
/** Documents that show a side of a conflict. */
export const conflictScheme = 'driftless';
