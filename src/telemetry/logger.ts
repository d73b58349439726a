import pino from 'pino'

/** What the rest of the server logs with. `fields` come first, as in pino. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Log
}

export interface LogOptions {
  level: 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

/** Writes JSON lines to stderr without blocking; a full pipe drops lines once 4 MB wait. */
export function createLog(options: LogOptions): Log {
  return pino({ level: options.level, base: null }, pino.destination({ dest: 2, sync: false, maxLength: 4_000_000 }))
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog }
