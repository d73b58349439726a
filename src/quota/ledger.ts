import { shortened } from '../errors.ts'
import type { Database } from '../storage/database.ts'
import type { LedgerRow } from '../storage/tables.ts'
import type { Events } from '../telemetry/events.ts'
import { type Clock, systemClock } from './limiter-clock.ts'

/** One inference, as it is recorded. */
export type LedgerEntry = Omit<LedgerRow, 'id' | 'created_at'>

/** The record of use; entries are only ever added. */
export interface Ledger extends AsyncDisposable {
  /**
   * Takes a line without waiting. Its write, with other lines, begins at most one second later, or, where a write takes longer than that, with
   * the end of the write under way.
   */
  record(entry: LedgerEntry): void
  /** Writes what is pending; resolves once it is durable, or could not be written. */
  flush(): Promise<void>
  /** Entries lost since the start. */
  readonly lost?: number
}

interface LedgerOptions {
  events: Pick<Events, 'dependencyFailed' | 'dependencyRecovered' | 'warning'>
  /** Entries kept while the database is unavailable; further ones are lost and counted. Default 50,000. */
  maxBacklog?: number
  /** Milliseconds after which an entry is written. Default 1000. */
  flushInterval?: number
  /** Entries in one transaction. Default 2000. */
  batchSize?: number
  /** Initial milliseconds between attempts while the database is unavailable; doubled up to 32 times. Default 1000. */
  retryInterval?: number
  /** Default: the system’s clock. */
  clock?: Clock
}

const dependency = 'ledger database'

/** UTF-16 units of a model name: callers choose it, and some providers accept any. */
const maxModelLength = 512

/** Writes entries into the table `ledger` in batches, in the background. Disposing writes what is pending, once. */
export function openLedger(database: Pick<Database, 'add'>, options: LedgerOptions): Ledger {
  return new DatabaseLedger(database, options)
}

class DatabaseLedger implements Ledger {
  readonly #database: Pick<Database, 'add'>
  readonly #options: Required<LedgerOptions>
  /** Identifies this process; with a number it makes the id of an entry. */
  readonly #processId = crypto.randomUUID().replaceAll('-', '')
  #number = 0
  #written = 0
  /** Rows, as `serializeRow` writes them. */
  #pending: string[] = []
  /** When each is due, by the monotonic clock. */
  #due: number[] = []
  #writing: Promise<boolean> | undefined
  #timer: { readonly at: number; readonly cancel: () => void } | undefined
  #failures = 0
  /** When the next attempt may begin after a failure, by the monotonic clock. */
  #notBefore = -Infinity
  #lost = { lines: 0, nanoDollars: 0 }
  lost = 0

  constructor(database: Pick<Database, 'add'>, options: LedgerOptions) {
    this.#database = database
    this.#options = { maxBacklog: 50_000, flushInterval: 1000, batchSize: 2000, retryInterval: 1000, clock: systemClock, ...options }
  }

  record(entry: LedgerEntry): void {
    const { maxBacklog, flushInterval, clock } = this.#options
    if (this.#pending.length >= maxBacklog) {
      this.#countLost(entry.cost_nano_dollars)
      return
    }
    this.#number += 1
    this.#pending.push(serializeRow(`${this.#processId}-${this.#number.toString(36)}`, clock.now(), entry))
    const now = clock.monotonic()
    this.#due.push(now + flushInterval)
    this.#schedule(now)
  }

  async flush(): Promise<void> {
    const goal = this.#written + this.#pending.length
    while (this.#written < goal) {
      if (!(await this.#write())) return
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush()
    this.#timer?.cancel()
    this.#due = []
    for (const text of this.#pending.splice(0)) this.#countLost(costOfRow(text))
    this.#reportLoss()
  }

  /** Sets the timer for the next write. A write that is due starts at once, because a busy event loop delays timers. */
  #schedule(now: number): void {
    const due = this.#due[0]
    if (due === undefined || this.#writing) return
    if (Math.max(due, this.#notBefore) <= now) {
      void this.#write()
      return
    }
    const { batchSize, clock } = this.#options
    const at = Math.max(this.#pending.length >= batchSize ? now : due, this.#notBefore)
    if (this.#timer && this.#timer.at <= at) return
    this.#timer?.cancel()
    const run = (): void => {
      this.#timer = undefined
      void this.#write()
    }
    this.#timer = { at, cancel: clock.after(at - now, run) }
  }

  /** One batch at a time; false if it could not be written. */
  #write(): Promise<boolean> {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#writing ??= this.#writeBatch().finally(() => {
      this.#writing = undefined
      this.#schedule(this.#options.clock.monotonic())
    })
    return this.#writing
  }

  async #writeBatch(): Promise<boolean> {
    const rows = this.#pending.slice(0, this.#options.batchSize)
    if (rows.length === 0) return true
    const { events } = this.#options
    try {
      // A batch without an acknowledgement is written again: ids make that idempotent.
      await this.#database.add('ledger', { columns, rows })
    } catch (error) {
      const { retryInterval, clock } = this.#options
      this.#notBefore = clock.monotonic() + retryInterval * 2 ** Math.min(this.#failures, 5)
      this.#failures += 1
      events.dependencyFailed(dependency, error)
      return false
    }
    this.#pending = this.#pending.slice(rows.length)
    this.#due = this.#due.slice(rows.length)
    this.#notBefore = -Infinity
    this.#written += rows.length
    if (this.#failures > 0) events.dependencyRecovered(dependency)
    this.#failures = 0
    this.#reportLoss()
    return true
  }

  #countLost(nanoDollars: number | null): void {
    this.#lost.lines += 1
    this.lost += 1
    this.#lost.nanoDollars += nanoDollars ?? 0
    if (this.#lost.lines === 1)
      this.#options.events.warning('The ledger backlog is full: further entries are lost until its database recovers.')
  }

  #reportLoss(): void {
    const { lines, nanoDollars } = this.#lost
    if (lines === 0) return
    this.#lost = { lines: 0, nanoDollars: 0 }
    this.#options.events.warning('Ledger entries were lost: its database was unavailable for too long.', {
      lost_lines: lines,
      lost_usd: nanoDollars / 1e9,
    })
  }
}

const columns = [
  'id',
  'created_at',
  'request_id',
  'key_id',
  'principal',
  'attributes',
  'provider',
  'model',
  'capability',
  'outcome',
  'input_tokens',
  'output_tokens',
  'cached_input_tokens',
  'reasoning_tokens',
  'estimated',
  'cost_nano_dollars',
] as const satisfies readonly (keyof LedgerRow)[]

/** The values of a row, in the order of `columns`. */
function serializeRow(id: string, createdAt: number, entry: LedgerEntry): string {
  const { principal, model } = entry
  return JSON.stringify([
    id,
    createdAt,
    entry.request_id,
    entry.key_id,
    principal === null ? null : toStorableText(principal),
    entry.attributes,
    entry.provider,
    toStorableText(model.length > maxModelLength ? shortened(model, maxModelLength) : model),
    entry.capability,
    entry.outcome,
    entry.input_tokens,
    entry.output_tokens,
    entry.cached_input_tokens,
    entry.reasoning_tokens,
    entry.estimated,
    entry.cost_nano_dollars,
  ])
}

function costOfRow(text: string): number | null {
  return (JSON.parse(text) as unknown[]).at(-1) as number | null
}

/** PostgreSQL accepts neither NUL nor lone surrogates: one such entry would block its batch for ever. */
function toStorableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\u{FFFD}')
}
