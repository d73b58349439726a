import { closeSync, constants, openSync } from 'node:fs'
import { shortened, maskApiKeys } from '../errors.ts'
import { LineWriter } from './line-writer.ts'
import { prettyLine } from './pretty.ts'

/** What the rest of the server logs with. `fields` come first; values that are `Secret`s print as `***`, errors with stack and causes. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** A log whose lines carry `fields`. With `category` among them, that category's own level holds. */
  child(fields: object): Log
  /** False if `debug` writes nothing, so that its fields need not be built. */
  readonly isDebugEnabled?: boolean
  /** Lines lost since the start: no reader, or a full disk. */
  readonly dropped?: number
  /** Resolves once everything is written, or after a second without a reader; later lines are dropped. For the end of the process. */
  close?(): Promise<void>
}

export interface LogOptions {
  /** Llama Stack's `warning` and `critical` are understood as well. Default `info`. */
  level?: string | undefined
  /** Category → level, as `LLAMA_STACK_LOGGING=server=debug,inference=warning` spells them; `all` is the default for the others. */
  categoryLevels?: Readonly<Record<string, string>> | undefined
  /** `pretty` is for people; default: `pretty` on a terminal, else `json` (one object a line). */
  format?: 'json' | 'pretty' | undefined
  /** Whether lines for people have colours. Default true. */
  colour?: boolean | undefined
  /** The file descriptor to write to. Default 2, stderr. */
  fd?: number | undefined
  /** Path of a file that gets every line as well, as JSON, at its end; made where there is none. */
  file?: string | undefined
}

/** The log's file cannot be opened. */
export class LogFileError extends Error {
  constructor(path: string, cause: unknown) {
    super(`The log file ${path} cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.name = 'LogFileError'
  }
}

/** Logs without waiting for the reader of the log. Throws LogFileError. */
export function createLog(options: LogOptions = {}): Log {
  const categoryLevels = options.categoryLevels ?? {}
  const fd = options.fd ?? 2
  const pretty = (options.format ?? (isTerminal(fd) ? 'pretty' : 'json')) === 'pretty'
  const output = new LineWriter(fd)
  const write = pretty ? (line: string) => output.write(prettyLine(line, options.colour ?? true)) : (line: string) => output.write(line)
  const level = severityOf(categoryLevels.all ?? options.level ?? 'info')
  const sink = { write, close: () => output.close(), dropped: () => output.dropped, time: createTimestamps(), categoryLevels }
  return new LineLog(options.file === undefined ? sink : withFile(sink, options.file), level, '')
}

/** Now in ISO 8601; formatted again only when the millisecond changes. */
function createTimestamps(): () => string {
  let at = NaN
  let text = ''
  return () => {
    const now = Date.now()
    if (now !== at) {
      at = now
      text = new Date(now).toISOString()
    }
    return text
  }
}

function withFile(sink: LogSink, path: string): LogSink {
  const fd = openToAppend(path)
  const output = new LineWriter(fd)
  return {
    ...sink,
    write(line) {
      sink.write(line)
      output.write(line)
    },
    async close() {
      await Promise.all([sink.close(), output.close()])
      if (output.isIdle) closeSync(fd)
    },
    dropped: () => sink.dropped() + output.dropped,
  }
}

/** Several processes of one server append to the same file. */
function openToAppend(path: string): number {
  // Without O_NONBLOCK, opening a named pipe without a reader would block.
  const { O_WRONLY, O_CREAT, O_APPEND, O_NONBLOCK } = constants
  try {
    return openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0o600)
  } catch (error) {
    throw new LogFileError(path, error)
  }
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog, isDebugEnabled: false }

const severities: Readonly<Record<string, number>> = {
  trace: 20,
  debug: 20,
  info: 30,
  warn: 40,
  warning: 40,
  error: 50,
  critical: 60,
  fatal: 60,
  off: 99,
  none: 99,
  silent: 99,
}

/** An unknown level counts as `info` (the configuration check reports it). */
function severityOf(spelled: string): number {
  const name = spelled.trim().toLowerCase()
  return (Object.hasOwn(severities, name) && severities[name]) || 30
}

interface LogSink {
  readonly write: (line: string) => void
  readonly close: () => Promise<void>
  readonly dropped: () => number
  /** Now, in ISO 8601. */
  readonly time: () => string
  readonly categoryLevels: Readonly<Record<string, string>>
}

class LineLog implements Log {
  readonly #sink: LogSink
  readonly #severity: number
  /** The fields of every line, as JSON with a comma at its end. */
  readonly #prefix: string

  constructor(sink: LogSink, severity: number, prefix: string) {
    this.#sink = sink
    this.#severity = severity
    this.#prefix = prefix
  }

  debug(fields: object, message: string): void {
    if (this.#severity <= 20) this.#write('debug', fields, message)
  }

  info(fields: object, message: string): void {
    if (this.#severity <= 30) this.#write('info', fields, message)
  }

  warn(fields: object, message: string): void {
    if (this.#severity <= 40) this.#write('warn', fields, message)
  }

  error(fields: object, message: string): void {
    if (this.#severity <= 50) this.#write('error', fields, message)
  }

  child(fields: object): Log {
    const { categoryLevels } = this.#sink
    const category = 'category' in fields && typeof fields.category === 'string' ? fields.category : undefined
    const level = category !== undefined && Object.hasOwn(categoryLevels, category) ? categoryLevels[category] : undefined
    return new LineLog(this.#sink, level === undefined ? this.#severity : severityOf(level), this.#prefix + inner(fields))
  }

  get isDebugEnabled(): boolean {
    return this.#severity <= 20
  }

  get dropped(): number {
    return this.#sink.dropped()
  }

  close(): Promise<void> {
    return this.#sink.close()
  }

  #write(level: string, fields: object, message: string): void {
    const line = `{"level":"${level}","time":"${this.#sink.time()}",${this.#prefix}${inner(fields)}"msg":${JSON.stringify(message)}}\n`
    this.#sink.write(maskApiKeys(line))
  }
}

/** The members of an object as JSON, with a comma at the end; nothing for an empty one. */
function inner(fields: object): string {
  const printable = 'err' in fields ? { ...fields, err: describeError(fields.err, 0) } : fields
  try {
    const json = JSON.stringify(printable)
    return json.length > 2 ? `${json.slice(1, -1)},` : ''
  } catch (error) {
    // A circle or a bigint: the line's message is still worth having.
    return `"unprintable":${JSON.stringify(String(error))},`
  }
}

const maxCauseDepth = 5
/** Characters of an error's message or stack. */
const maxTextLength = 10_000

function describeError(error: unknown, depth: number): unknown {
  if (!(error instanceof Error)) return error
  const { name, cause } = error
  const message = shortened(error.message, maxTextLength)
  const stack = error.stack && shortened(error.stack, maxTextLength)
  const code = 'code' in error ? error.code : undefined
  return {
    type: name,
    message,
    code,
    stack,
    ...(cause !== undefined && depth < maxCauseDepth && { cause: describeError(cause, depth + 1) }),
  }
}

function isTerminal(fd: number): boolean {
  if (fd === 1) return process.stdout.isTTY
  return fd === 2 && process.stderr.isTTY
}
