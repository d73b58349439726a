import pino from 'pino'
import { prettyLine } from './pretty.ts'

/** What the rest of the server logs with. `fields` come first, as in pino. Values that are `Secret`s print as `***`. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** A log whose lines carry `fields`. With `category` among them, that category's own level holds. */
  child(fields: object): Log
  /** Resolves once everything is written, or after a second when nobody reads; what comes later is dropped. For the end of the process. */
  close?(): Promise<void>
}

export interface LogOptions {
  /** Llama Stack's `warning` and `critical` are understood as well. Default `info`. */
  level?: string | undefined
  /** Category → level, as `LLAMA_STACK_LOGGING=server=debug,inference=warning` spells them; `all` is the default for the others. */
  categoryLevels?: Readonly<Record<string, string>> | undefined
  /** `pretty` is for people; default: `pretty` on a terminal, else `json` (one object a line). */
  format?: 'json' | 'pretty' | undefined
  /** The file descriptor to write to. Default 2, stderr. */
  fd?: number | undefined
}

/** Once this many characters wait for a reader that does not read, lines are dropped rather than the server stopped. */
const mostWaiting = 4_000_000

/** Logs without ever waiting for whoever reads the log. */
export function createLog(options: LogOptions = {}): Log {
  const levels = options.categoryLevels ?? {}
  const fd = options.fd ?? 2
  const destination = pino.destination({ dest: fd, sync: false, maxLength: mostWaiting })
  // A reader that went away (`corral run 2>&1 | head`) must not take the server with it.
  destination.on('error', () => undefined)
  const pretty = (options.format ?? (isTerminal(fd) ? 'pretty' : 'json')) === 'pretty'
  let closed = false
  const write = (line: string) => {
    if (!closed) destination.write(pretty ? prettyLine(line) : line)
  }
  const root = pino(
    { level: levelName(levels.all ?? options.level ?? 'info'), base: null, timestamp: pino.stdTimeFunctions.isoTime, ...levelAsText },
    { write },
  )
  return withCategories(root, levels, async () => {
    if (closed) return
    closed = true
    // A synchronous flush would not do: it knows nothing of the write that is under way.
    await new Promise<void>((resolve) => {
      destination.once('close', () => resolve())
      setTimeout(resolve, longestClose).unref()
      destination.end()
    })
  })
}

/** Milliseconds. */
const longestClose = 1000

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog }

const levelAsText = { formatters: { level: (label: string) => ({ level: label }) } }

function withCategories(logger: pino.Logger, levels: Readonly<Record<string, string>>, close: () => Promise<void>): Log {
  return {
    debug: logger.debug.bind(logger),
    info: logger.info.bind(logger),
    warn: logger.warn.bind(logger),
    error: logger.error.bind(logger),
    child(fields) {
      const category = 'category' in fields && typeof fields.category === 'string' ? fields.category : ''
      const level = Object.hasOwn(levels, category) ? levels[category] : undefined
      return withCategories(logger.child(fields, level ? { level: levelName(level) } : {}), levels, close)
    },
    close,
  }
}

const levelNames: Readonly<Record<string, string>> = { warning: 'warn', critical: 'fatal', trace: 'debug', off: 'silent', none: 'silent' }
const knownLevels = new Set(['debug', 'info', 'warn', 'error', 'fatal', 'silent'])

/** Python's spellings become pino's; what is not a level at all counts as `info` (the configuration's check reports it). */
function levelName(spelled: string): string {
  const lower = spelled.trim().toLowerCase()
  const name = levelNames[lower] ?? lower
  return knownLevels.has(name) ? name : 'info'
}

function isTerminal(fd: number): boolean {
  if (fd === 1) return process.stdout.isTTY
  return fd === 2 && process.stderr.isTTY
}
