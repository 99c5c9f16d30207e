/** Diagnostics of the engine on stderr, one line each: warnings always, the rest with --verbose. */
import type { Log } from '../ports/log.ts';
import type { Output } from './output.ts';

export function createStderrLog(output: Output, verbose: boolean): Log {
  const write = (level: string, event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    const details = Object.entries(fields).map(
      ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    output.warn(`${new Date().toISOString()} ${level} ${[event, ...details].join(' ')}`);
  };
  const nothing = (): void => undefined;
  return {
    debug: verbose ? (event, fields) => write('debug', event, fields) : nothing,
    info: verbose ? (event, fields) => write('info', event, fields) : nothing,
    warn: (event, fields) => write('warn', event, fields),
    error: (event, fields) => write('error', event, fields),
  };
}
