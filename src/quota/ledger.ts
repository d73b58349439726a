import { shortened } from '../errors.ts'
import type { Database } from '../storage/database.ts'
import type { LedgerRow } from '../storage/tables.ts'
import type { Events } from '../telemetry/events.ts'
import { type Clock, systemClock } from './limiter-clock.ts'

/** One answer of a model, as it is written down. */
export type LedgerEntry = Omit<LedgerRow, 'id' | 'created_at'>

/** What was used, line by line; lines are only ever added. */
export interface Ledger extends AsyncDisposable {
  /**
   * Takes a line without waiting. Its write, with other lines, begins at most one second later, or, where a write takes longer than that, with
   * the end of the write under way.
   */
  record(entry: LedgerEntry): void
  /** Writes what is there now; resolves once that is durable, or could not be written. */
  flush(): Promise<void>
  /** Lines that were lost since the start. */
  readonly lost?: number
}

export interface LedgerOptions {
  events: Pick<Events, 'dependencyFailed' | 'dependencyBack' | 'warning'>
  /** Lines that are kept while the database is out of reach; those beyond are lost, counted and told. Default 50,000. */
  backlog?: number
  /** Milliseconds after which a line is written. Default 1000. */
  every?: number
  /** Lines of one transaction. Default 2000. */
  batch?: number
  /** Milliseconds between two tries while the database is out of reach, at first; doubled up to 32 times that. Default 1000. */
  retryEvery?: number
  /** Default: the system's. */
  clock?: Clock
}

const dependency = 'the ledger’s database'

/** UTF-16 units of a model's name: callers may ask for what they like, and some providers take every name. */
const longestModel = 512

/** Writes lines into the table `ledger`, in batches and off the requests' way. Disposing writes what is left, once. */
export function openLedger(database: Pick<Database, 'add'>, options: LedgerOptions): Ledger {
  return new WrittenLedger(database, options)
}

class WrittenLedger implements Ledger {
  readonly #database: Pick<Database, 'add'>
  readonly #options: Required<LedgerOptions>
  /** Names this process's lines; with their number that makes an id. */
  readonly #origin = crypto.randomUUID().replaceAll('-', '')
  #number = 0
  #written = 0
  /** Rows, as `textOf` writes them. */
  #waiting: string[] = []
  /** When each of them is due, by the monotonic clock. */
  #due: number[] = []
  #writing: Promise<boolean> | undefined
  #timer: { readonly at: number; readonly cancel: () => void } | undefined
  #failures = 0
  /** When the next attempt may begin after one that failed, by the monotonic clock. */
  #notBefore = -Infinity
  #lost = { lines: 0, nanoDollars: 0 }
  lost = 0

  constructor(database: Pick<Database, 'add'>, options: LedgerOptions) {
    this.#database = database
    this.#options = { backlog: 50_000, every: 1000, batch: 2000, retryEvery: 1000, clock: systemClock, ...options }
  }

  record(entry: LedgerEntry): void {
    const { backlog, every, clock } = this.#options
    if (this.#waiting.length >= backlog) {
      this.#lose(entry.cost_nano_dollars)
      return
    }
    this.#number += 1
    this.#waiting.push(textOf(`${this.#origin}-${this.#number.toString(36)}`, clock.now(), entry))
    const now = clock.monotonic()
    this.#due.push(now + every)
    this.#plan(now)
  }

  async flush(): Promise<void> {
    const goal = this.#written + this.#waiting.length
    while (this.#written < goal) {
      if (!(await this.#write())) return
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush()
    this.#timer?.cancel()
    this.#due = []
    for (const text of this.#waiting.splice(0)) this.#lose(costIn(text))
    this.#tellLoss()
  }

  /** Sets the timer for the next write. A write that is due begins without one, because a busy event loop calls timers late. */
  #plan(now: number): void {
    const due = this.#due[0]
    if (due === undefined || this.#writing) return
    if (Math.max(due, this.#notBefore) <= now) {
      void this.#write()
      return
    }
    const { batch, clock } = this.#options
    const at = Math.max(this.#waiting.length >= batch ? now : due, this.#notBefore)
    if (this.#timer && this.#timer.at <= at) return
    this.#timer?.cancel()
    const run = (): void => {
      this.#timer = undefined
      void this.#write()
    }
    this.#timer = { at, cancel: clock.after(at - now, run) }
  }

  /** One batch at a time; false when it could not be written. */
  #write(): Promise<boolean> {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#writing ??= this.#writeBatch().finally(() => {
      this.#writing = undefined
      this.#plan(this.#options.clock.monotonic())
    })
    return this.#writing
  }

  async #writeBatch(): Promise<boolean> {
    const rows = this.#waiting.slice(0, this.#options.batch)
    if (rows.length === 0) return true
    const { events } = this.#options
    try {
      // A batch whose acknowledgement got lost is written again: its lines are known by their ids.
      await this.#database.add('ledger', { columns, rows })
    } catch (error) {
      const { retryEvery, clock } = this.#options
      this.#notBefore = clock.monotonic() + retryEvery * 2 ** Math.min(this.#failures, 5)
      this.#failures += 1
      events.dependencyFailed(dependency, error)
      return false
    }
    this.#waiting = this.#waiting.slice(rows.length)
    this.#due = this.#due.slice(rows.length)
    this.#notBefore = -Infinity
    this.#written += rows.length
    if (this.#failures > 0) events.dependencyBack(dependency)
    this.#failures = 0
    this.#tellLoss()
    return true
  }

  #lose(nanoDollars: number | null): void {
    this.#lost.lines += 1
    this.lost += 1
    this.#lost.nanoDollars += nanoDollars ?? 0
    if (this.#lost.lines === 1) this.#options.events.warning('The ledger has no room for further lines until its database is back.')
  }

  #tellLoss(): void {
    const { lines, nanoDollars } = this.#lost
    if (lines === 0) return
    this.#lost = { lines: 0, nanoDollars: 0 }
    this.#options.events.warning('The ledger has lost lines, because its database was out of reach for too long.', {
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

/** A row's values, in the order of `columns`. */
function textOf(id: string, createdAt: number, entry: LedgerEntry): string {
  const { principal, model } = entry
  return JSON.stringify([
    id,
    createdAt,
    entry.request_id,
    entry.key_id,
    principal === null ? null : storable(principal),
    entry.attributes,
    entry.provider,
    storable(model.length > longestModel ? shortened(model, longestModel) : model),
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

function costIn(text: string): number | null {
  return (JSON.parse(text) as unknown[]).at(-1) as number | null
}

/** PostgreSQL takes neither NUL nor half a surrogate pair in a text, and one such line would keep all others of its batch from being written, for ever. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\u{FFFD}')
}
