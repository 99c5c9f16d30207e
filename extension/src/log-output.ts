/** What the engine and its peers tell, as lines of the log channel. */
import type { PeerEvent } from '@driftless/engine';
import type * as vscode from 'vscode';
import type { LogLine } from './channel.ts';

export function logLines(
  log: vscode.LogOutputChannel,
  batch: { readonly lines: readonly LogLine[]; readonly leftOut: number },
): void {
  for (const { level, event, fields } of batch.lines) {
    const text = Object.keys(fields).length === 0 ? event : `${event} ${JSON.stringify(fields)}`;
    log[level](text);
  }
  if (batch.leftOut > 0) log.warn(`… and ${batch.leftOut} more lines`);
}

export function logEvents(log: vscode.LogOutputChannel, name: string, events: readonly PeerEvent[]): void {
  for (const each of events) {
    const { event, ...rest } = each;
    const text = `${name}: ${event} ${JSON.stringify(rest)}`;
    if (event === 'state' || event === 'peer') log.debug(text);
    else if (event === 'problem' || event === 'conflict') log.warn(text);
    else log.info(text);
  }
}
