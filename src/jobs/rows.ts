import { type RawBuilder, sql } from 'kysely'
import { databaseTime } from '../storage/clock.ts'
import type { Database, Transaction } from '../storage/database.ts'
import { newId } from '../storage/ids.ts'
import { bumpRevision } from '../storage/revisions.ts'
import type { JobRow } from '../storage/tables.ts'
import { jobScopes } from './scopes.ts'

/** Which attempt of a job writes. It does so only while the row still says the same. */
export interface Fence {
  readonly id: string
  readonly owner: string
  readonly attempt: number
}

interface NewJob {
  readonly kind: string
  readonly key: string | undefined
  /** JSON. */
  readonly payload: string
  /** Milliseconds from now. */
  readonly delay: number
  readonly maxAttempts: number
}

/** Milliseconds until something is to be done; 0 or less: now. Undefined: nothing is waiting. */
export interface NextDue {
  readonly queued: number | undefined
  readonly expired: number | undefined
}

type HeldRow = Pick<JobRow, 'id' | 'attempts' | 'cancel_requested'>

/** A job that the owner who asked still holds. */
interface HeldJob extends HeldRow {
  readonly renewed: boolean
}

/** Milliseconds that finished jobs are kept, for those who ask for them. */
const retention = 7 * 24 * 3600 * 1000

/** The SQL of the queue. Every change of a running job is one statement or transaction under its fence. */
export class JobRows {
  readonly #database: Database
  readonly #now: RawBuilder<number>
  /** Rows that another process has locked are left to it. */
  readonly #skipLocked: RawBuilder<unknown>

  constructor(database: Database) {
    this.#database = database
    this.#now = databaseTime(database.engine)
    this.#skipLocked = database.engine === 'postgres' ? sql`for update skip locked` : sql``
  }

  /** Adds a job, or finds the one that is queued or running with this key. */
  async insert(job: NewJob, transaction: Transaction): Promise<{ id: string; created: boolean }> {
    const { kind, key = null, payload, delay, maxAttempts } = job
    const [clock] = (await sql<{ now: number }>`select ${this.#now} as now`.execute(transaction)).rows
    const now = clock?.now ?? Date.now()
    for (;;) {
      const id = newId('job_', now)
      const inserted = await sql`
        insert into jobs (id, created_at, kind, key, payload, state, run_at, attempts, max_attempts, cancel_requested)
        values (${id}, ${now}, ${kind}, ${key}, ${payload}, 'queued', ${now + delay}, 0, ${maxAttempts}, 0)
        on conflict (kind, key) where state in ('queued', 'running') do nothing returning id`.execute(transaction)
      if (inserted.rows.length > 0) {
        await bumpRevision(transaction, jobScopes.queued)
        return { id, created: true }
      }
      const found = await sql<{ id: string }>`
        select id from jobs where kind = ${kind} and key = ${key} and state in ('queued', 'running')`.execute(transaction)
      const [alive] = found.rows
      // Undefined: it has ended between the two statements, which PostgreSQL permits.
      if (alive) return { id: alive.id, created: false }
    }
  }

  get(id: string): Promise<JobRow | undefined> {
    return this.#database.read.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst()
  }

  /** @param free kinds that this process could begin; @param all kinds that it knows */
  async nextDue(free: readonly string[], all: readonly string[]): Promise<NextDue> {
    const queued = sql`select min(run_at) - ${this.#now} from jobs where state = 'queued' and kind in (${list(free)})`
    const expired = sql`select min(lease_until) - ${this.#now} from jobs where state = 'running' and kind in (${list(all)})`
    const { rows } = await sql<{ queued: number | null; expired: number | null }>`
      select ${free.length > 0 ? sql`(${queued})` : sql`null`} as queued, (${expired}) as expired`.execute(this.#database.read)
    const [row] = rows
    return { queued: numberOf(row?.queued), expired: numberOf(row?.expired) }
  }

  /** Takes the jobs that became due first. */
  claim(owner: string, lease: number, { kinds, limit }: { kinds: readonly string[]; limit: number }): Promise<JobRow[]> {
    return this.#database.statement(sql<JobRow>`
      update jobs set state = 'running', attempts = attempts + 1, lease_owner = ${owner}, lease_until = ${this.#now} + ${whole(lease)}
      where id in (
        select id from jobs where state = 'queued' and kind in (${list(kinds)}) and run_at <= ${this.#now}
        order by run_at, id limit ${limit} ${this.#skipLocked})
      returning *`)
  }

  /** Puts jobs back whose processes have let the lease run out; gives up on those that have had their attempts. Gives how many. */
  async reap(kinds: readonly string[]): Promise<number> {
    const ends = sql`(cancel_requested = 1 or attempts >= max_attempts)`
    const rows = await this.#database.statement(sql`
      update jobs set
        state = case when cancel_requested = 1 then 'cancelled' when attempts >= max_attempts then 'failed' else 'queued' end,
        run_at = ${this.#now}, lease_owner = null, lease_until = null, last_error = ${leaseExpired},
        finished_at = case when ${ends} then ${this.#now} end
      where id in (
        select id from jobs where state = 'running' and kind in (${list(kinds)}) and lease_until <= ${this.#now} ${this.#skipLocked})
      returning id`)
    return rows.length
  }

  /**
   * Extends the leases of these jobs as far as this owner still has them, and gives those. A row that a transaction of this process has locked is
   * not waited for: it is given as it is, its lease not renewed.
   */
  async renew(owner: string, lease: number, ids: readonly string[]): Promise<HeldJob[]> {
    const mine = sql`state = 'running' and lease_owner = ${owner} and id in (${list(ids)})`
    const renewed = await this.#database.statement(sql<HeldRow>`
      update jobs set lease_until = ${this.#now} + ${whole(lease)} where id in (select id from jobs where ${mine} ${this.#skipLocked})
      returning id, attempts, cancel_requested`)
    const held = renewed.map((row) => ({ ...row, renewed: true }))
    if (held.length === ids.length || this.#database.engine === 'sqlite') return held
    const rest = sql<HeldRow>`select id, attempts, cancel_requested from jobs where ${mine}`
    const { rows } = await rest.execute(this.#database.read)
    const known = new Set(held.map(({ id }) => id))
    return [...held, ...rows.filter(({ id }) => !known.has(id)).map((row) => ({ ...row, renewed: false }))]
  }

  /** Begins a transaction of an attempt: false where it does not hold the job any more. Keeps others from taking it until the transaction ends. */
  async hold(fence: Fence, lease: number, transaction: Transaction): Promise<boolean> {
    const { rows } = await sql`
      update jobs set lease_until = ${this.#now} + ${whole(lease)} where ${fenced(fence)} returning id`.execute(transaction)
    return rows.length > 0
  }

  /** As each of the following: false where the attempt does not hold the job any more, and nothing is written. */
  saveProgress(fence: Fence, progress: string): Promise<boolean> {
    return this.#change(sql`update jobs set progress = ${progress} where ${fenced(fence)} returning id`)
  }

  succeed(fence: Fence): Promise<boolean> {
    return this.#change(this.#succeeding(fence))
  }

  async succeedWithin(fence: Fence, transaction: Transaction): Promise<boolean> {
    return (await this.#succeeding(fence).execute(transaction)).rows.length > 0
  }

  end(fence: Fence, state: 'failed' | 'cancelled', error: string): Promise<boolean> {
    return this.#change(sql`
      update jobs set state = ${state}, finished_at = ${this.#now}, lease_owner = null, lease_until = null, last_error = ${error}
      where ${fenced(fence)} returning id`)
  }

  retry(fence: Fence, delay: number, error: string): Promise<boolean> {
    return this.#requeue(sql`
      update jobs set state = 'queued', run_at = ${this.#now} + ${whole(delay)}, lease_owner = null, lease_until = null, last_error = ${error}
      where ${fenced(fence)} returning id`)
  }

  /** Gives the job back at once; the attempt does not count. */
  release(fence: Fence): Promise<boolean> {
    return this.#requeue(sql`
      update jobs set state = 'queued', run_at = ${this.#now}, lease_owner = null, lease_until = null, max_attempts = max_attempts + 1
      where ${fenced(fence)} returning id`)
  }

  /** Ends a queued job; asks the attempt of a running one to stop. Undefined: no such job. */
  async cancel(id: string): Promise<JobRow | undefined> {
    await this.#database.write(async (transaction) => {
      const { rows } = await sql<JobRow>`
        update jobs set
          state = case when state = 'queued' then 'cancelled' else state end,
          finished_at = case when state = 'queued' then ${this.#now} end,
          cancel_requested = 1
        where id = ${id} and state in ('queued', 'running') returning state`.execute(transaction)
      if (rows[0]?.state === 'running') await bumpRevision(transaction, jobScopes.cancelled)
    })
    return await this.get(id)
  }

  /** Deletes jobs that have been finished for a week. */
  async deleteOld(): Promise<void> {
    await this.#database.statement(sql`
      delete from jobs where id in (
        select id from jobs where finished_at is not null and finished_at < ${this.#now} - ${whole(retention)} order by finished_at limit 1000)`)
  }

  #succeeding(fence: Fence): RawBuilder<unknown> {
    return sql`
      update jobs set state = 'succeeded', finished_at = ${this.#now}, lease_owner = null, lease_until = null, last_error = null
      where ${fenced(fence)} returning id`
  }

  async #change(statement: RawBuilder<unknown>): Promise<boolean> {
    return (await this.#database.statement(statement)).length > 0
  }

  /** What is queued may be due for another process. */
  #requeue(statement: RawBuilder<unknown>): Promise<boolean> {
    return this.#database.write(async (transaction) => {
      const { rows } = await statement.execute(transaction)
      if (rows.length > 0) await bumpRevision(transaction, jobScopes.queued)
      return rows.length > 0
    })
  }
}

const leaseExpired = 'The process that ran it stopped responding before the attempt ended.'

function fenced({ id, owner, attempt }: Fence): RawBuilder<unknown> {
  return sql`id = ${id} and lease_owner = ${owner} and attempts = ${attempt} and state = 'running'`
}

function list(values: readonly string[]): RawBuilder<unknown> {
  return sql.join(values.length > 0 ? values : [null])
}

/** PostgreSQL takes the type of a parameter from its surroundings, which do not say enough here. */
function whole(value: number): RawBuilder<number> {
  return sql`cast(${value} as bigint)`
}

function numberOf(value: number | null | undefined): number | undefined {
  return value ?? undefined
}
