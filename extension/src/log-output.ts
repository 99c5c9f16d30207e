/** What the engine and its peers tell, as lines of the log channel. */
import type { PeerEvent } from '@driftless/engine';
import type { LogLine } from './channel.ts';
import type { WindowLog } from './window.ts';

export function logLines(
  log: WindowLog,
  batch: { readonly lines: readonly LogLine[]; readonly leftOut: number },
): void {
  for (const { level, event, fields } of batch.lines) log.write(level, event, fields);
  if (batch.leftOut > 0) log.write('warn', `… and ${batch.leftOut} more lines`);
}

export function logEvents(log: WindowLog, name: string, events: readonly PeerEvent[]): void {
  for (const each of events) {
    const { event, ...rest } = each;
    const isNews = event !== 'state' && event !== 'peer';
    const level =
      event === 'problem' || event === 'conflict' || event === 'runnable' ? 'warn' : isNews ? 'info' : 'debug';
    log.write(level, `${name}: ${event}`, rest);
  }
}
