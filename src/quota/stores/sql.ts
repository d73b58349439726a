import { type RawBuilder, sql } from 'kysely'
import type { Database, Transaction } from '../../storage/database.ts'
import {
  type StoreExchange,
  type StoreExchangeReply,
  type HoldReply,
  type HoldRequest,
  type QuotaStore,
  WindowExpired,
} from '../counters.ts'
import { graceOf } from '../windows.ts'
import { emptyCount, applyExchange, applyHold, leaseShare, defaultContentionPeriod } from './rules.ts'

/** Maximum of rows that one transaction deletes. */
const batchSize = 500
/** Milliseconds between two searches for expired rows. */
const defaultCleanInterval = 60_000
/** The holder id of the row that records a refusal of a counter. */
const refusalHolder = ''

interface SqlStore extends QuotaStore {
  /** Deletes expired rows in batches. Returns their number. */
  clean(): Promise<number>
}

interface SqlStoreOptions {
  /** Separates servers that share a database. */
  readonly namespace?: string | undefined
  readonly contentionPeriod?: number
  /** Milliseconds. Default: a minute. */
  readonly cleanInterval?: number
  /** Called when cleaning fails; it is retried. */
  readonly onFailure?: (error: unknown) => void
}

/**
 * Counts in the tables `quota_counters` and `quota_holders`: SQLite for the processes of one machine, PostgreSQL for replicas. What is over is decided
 * by the database's clock (SQLite: the machine's). The database stays open when the store is disposed of.
 */
export function createSqlStore(database: Database, options: SqlStoreOptions = {}): SqlStore {
  const { namespace, contentionPeriod = defaultContentionPeriod, cleanInterval = defaultCleanInterval, onFailure } = options
  const named = <T extends { readonly counter: string }>(request: T): T => {
    return namespace ? { ...request, counter: `${namespace}:${request.counter}` } : request
  }
  let isClosed = false
  let timer: ReturnType<typeof setTimeout> | undefined

  const clean = async (): Promise<number> => {
    let deleted = 0
    for (const deleteBatch of [deleteCounters, deleteHolders]) {
      for (;;) {
        const gone = await database.write((transaction) => deleteBatch(transaction, database.engine))
        deleted += gone
        if (gone < batchSize || isClosed) break
      }
    }
    return deleted
  }
  // Spread, so that processes do not clean at the same time.
  const cleanLater = (): void => {
    timer = setTimeout(() => void cleanNow(), cleanInterval * (0.5 + Math.random()))
    timer.unref()
  }
  const cleanNow = async (): Promise<void> => {
    try {
      await clean()
    } catch (error) {
      onFailure?.(error)
    }
    if (!isClosed) cleanLater()
  }
  cleanLater()

  return {
    shared: true,
    async exchange(request): Promise<StoreExchangeReply> {
      const statement = exchange(named(request), nowOf(database.engine), contentionPeriod)
      const [row] = await database.statement(statement)
      if (!row) throw new WindowExpired(request.window)
      return {
        taken: row.granted,
        remaining: request.limit - row.taken,
        leased: row.leased,
        contended: row.wanted === 1,
      }
    },
    hold: (request) => database.write((transaction) => hold(named(request), { transaction, engine: database.engine, contentionPeriod })),
    clean,
    async [Symbol.asyncDispose]() {
      isClosed = true
      clearTimeout(timer)
    },
  }
}

/** Unix milliseconds by the clock that all processes share. */
function nowOf(engine: Database['engine']): RawBuilder<number> {
  return engine === 'postgres' ? sql`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)` : bigint(Date.now())
}

/** PostgreSQL infers a parameter’s type from its context, which is not sufficient here. */
function bigint(value: number): RawBuilder<number> {
  return sql`cast(${value} as bigint)`
}

interface CounterRow {
  readonly taken: number
  readonly granted: number
  readonly leased: number
  readonly wanted: number
}

/** `applyExchange` as one statement. Returns no row if the window ended long ago: its count may have been deleted. */
function exchange(request: StoreExchange, now: RawBuilder<number>, contentionPeriod: number): RawBuilder<CounterRow> {
  const { counter, window, limit, returned, owed, atLeast, wanted, leased } = request
  const { reply, row } = applyExchange(emptyCount, request, { shared: true, contentionPeriod, now: 0 })
  const refusedUntil = sql`${now} + ${bigint(contentionPeriod)}`
  const before = sql`(case when known.taken > ${bigint(returned)} then known.taken - ${bigint(returned)} else 0 end + ${bigint(owed)})`
  const free = sql`(${bigint(limit)} - ${before})`
  const share = sql`(case when known.wanted_until > ${now} then 0 else ${free} / ${bigint(leaseShare)} end)`
  const granted = sql`(case
    when ${bigint(wanted)} <= 0 or ${free} < ${bigint(Math.max(atLeast, 1))} then 0
    when ${share} >= ${bigint(wanted)} then ${bigint(wanted)}
    when ${share} > ${bigint(atLeast)} then ${share}
    else ${bigint(atLeast)} end)`
  const unused = sql`(known.leased + ${bigint(leased)} + ${granted})`
  return sql<CounterRow>`
    insert into quota_counters as known (counter, window_start, window_end, taken, granted, leased, wanted_until)
    select cast(${counter} as text), ${bigint(window.start)}, ${bigint(window.end)}, ${bigint(row.taken)}, ${bigint(reply.taken)},
      ${bigint(row.leased)}, ${row.wantedUntil > 0 ? refusedUntil : bigint(0)}
    where ${bigint(window.end + graceOf(window))} > ${now}
    on conflict (counter, window_start) do update set
      taken = ${before} + ${granted},
      granted = ${granted},
      leased = case when ${unused} > 0 then ${unused} else 0 end,
      wanted_until = case when ${bigint(atLeast)} > 0 and ${granted} = 0 then ${refusedUntil} else known.wanted_until end
    returning taken, granted, leased, case when wanted_until > ${now} then 1 else 0 end as wanted`
}

interface HoldContext {
  readonly transaction: Transaction
  readonly engine: Database['engine']
  readonly contentionPeriod: number
}

async function hold(request: HoldRequest, { transaction, engine, contentionPeriod }: HoldContext): Promise<HoldReply> {
  const { counter, holder, slots, sequence, ttl } = request
  // SQLite has one writer at a time.
  if (engine === 'postgres') await sql`select pg_advisory_xact_lock(hashtextextended(${counter}, 0))`.execute(transaction)
  const known = await holdersNow(request, transaction, engine)
  const { held, refused, reply } = applyHold(known, request)
  if (held === undefined) return reply
  if (slots === 0) await transaction.deleteFrom('quota_holders').where('counter', '=', counter).where('holder', '=', holder).execute()
  else await keep(transaction, { counter, holder, held, until: known.now + ttl, sequence })
  if (refused) await keep(transaction, { counter, holder: refusalHolder, held: 0, until: known.now + contentionPeriod, sequence: 0 })
  return reply
}

async function holdersNow({ counter, holder }: HoldRequest, transaction: Transaction, engine: Database['engine']) {
  const now = nowOf(engine)
  const { rows } = await sql<Record<'others' | 'sequence' | 'wanted_until' | 'now', number>>`
    select
      ${now} as now,
      cast(coalesce(sum(case when holder <> ${holder} and until > ${now} then held else 0 end), 0) as bigint) as others,
      coalesce(max(case when holder = ${holder} then sequence else 0 end), 0) as sequence,
      coalesce(max(case when holder = ${refusalHolder} then until else 0 end), 0) as wanted_until
    from quota_holders where counter = ${counter}`.execute(transaction)
  const [row] = rows
  if (!row) throw new Error('a sum gives one row')
  return { shared: true, now: row.now, others: row.others, sequence: row.sequence, wantedUntil: row.wanted_until }
}

interface HolderRow {
  readonly counter: string
  readonly holder: string
  readonly held: number
  readonly until: number
  readonly sequence: number
}

async function keep(transaction: Transaction, row: HolderRow): Promise<void> {
  const { held, until, sequence } = row
  await transaction
    .insertInto('quota_holders')
    .values(row)
    .onConflict((conflict) => conflict.columns(['counter', 'holder']).doUpdateSet({ held, until, sequence }))
    .execute()
}

/** Windows whose grace (`graceOf`) has passed. */
async function deleteCounters(transaction: Transaction, engine: Database['engine']): Promise<number> {
  const now = nowOf(engine)
  const [minGrace, maxGrace] = [graceOf({ start: 0, end: 0 }), graceOf({ start: 0, end: Number.MAX_SAFE_INTEGER })]
  const length = sql`(window_end - window_start)`
  const grace = sql`(case when ${length} < ${bigint(minGrace)} then ${bigint(minGrace)} when ${length} > ${bigint(maxGrace)} then ${bigint(maxGrace)} else ${length} end)`
  const { numAffectedRows } = await sql`
    delete from quota_counters where (counter, window_start) in (
      select counter, window_start from quota_counters
      where window_end <= ${now} - ${bigint(minGrace)} and window_end + ${grace} <= ${now}
      limit ${batchSize} ${unlessLocked(engine)})`.execute(transaction)
  return Number(numAffectedRows ?? 0)
}

/** Expired holds. Sequences are kept while a request may still be under way. */
async function deleteHolders(transaction: Transaction, engine: Database['engine']): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from quota_holders where (counter, holder) in (
      select counter, holder from quota_holders where until <= ${nowOf(engine)} - ${bigint(graceOf({ start: 0, end: 0 }))}
      limit ${batchSize} ${unlessLocked(engine)})`.execute(transaction)
  return Number(numAffectedRows ?? 0)
}

/** Several replicas may clean. */
function unlessLocked(engine: Database['engine']): RawBuilder<unknown> {
  return engine === 'postgres' ? sql`for update skip locked` : sql``
}
