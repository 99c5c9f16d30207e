/**
 * Port: structured diagnostics. The relay knows no names and no paths, and logs no addresses, keys or bodies: events, counts,
 * sizes, codes and the first characters of opaque ids.
 */
import { type Level, pino } from 'pino';

export type LogFields = Readonly<Record<string, string | number | boolean | null>>;
export interface RelayLog {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export const silentLog: RelayLog = { debug() {}, info() {}, warn() {}, error() {} };

/** One JSON object a line on standard error: `{"level":"info","time":…,"event":"listening",…}`. */
export function pinoLog(level: Level | 'silent'): RelayLog {
  const logger = pino(
    { level, base: null, messageKey: 'event', formatters: { level: (label) => ({ level: label }) } },
    pino.destination({ dest: 2, sync: true }),
  );
  return {
    debug: (event, fields) => logger.debug(fields ?? {}, event),
    info: (event, fields) => logger.info(fields ?? {}, event),
    warn: (event, fields) => logger.warn(fields ?? {}, event),
    error: (event, fields) => logger.error(fields ?? {}, event),
  };
}
