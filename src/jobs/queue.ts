import type { z } from 'zod'
import type { Database, DatabaseSource, RevisionSubscription, Transaction } from '../storage/database.ts'
import type { JobRow } from '../storage/tables.ts'
import type { Events } from '../telemetry/events.ts'
import { JobAttempt } from './attempt.ts'
import type { AnyJobDefinition, JobDefinition } from './definition.ts'
import type { JobRows, NextDue } from './rows.ts'
import { jobScopes } from './scopes.ts'
import { within } from '../timing.ts'

/** Where jobs are kept. Opened with the first job, or by `start` once there may be something in it. */
interface JobStore extends DatabaseSource {
  /** Absent: it is there. */
  whenPresent?(): Promise<void>
}

export interface JobQueueOptions {
  readonly database: JobStore
  /** What this process can run; jobs of other kinds wait for a process that can. */
  readonly definitions: readonly AnyJobDefinition[]
  readonly events?: Pick<Events, 'unexpected'> | undefined
  /** Jobs that this process runs at once. Default 4. */
  readonly concurrency?: number | undefined
  /** Milliseconds after which a job whose process does not renew its lease is taken over. Default 30,000. */
  readonly lease?: number | undefined
}

interface EnqueueOptions {
  /** While a job of this kind and key is queued or running, queuing another gives that one. */
  readonly key?: string | undefined
  /** Milliseconds before which it is not started. */
  readonly delay?: number | undefined
  /** Queues it with what else the transaction writes, or not at all. */
  readonly transaction?: Transaction | undefined
}

/** The part of a definition that `enqueue` needs. Separate, so that the definition can import the service that queues the job. */
type QueuedKind<P extends z.ZodType> = Pick<JobDefinition<P>, 'kind' | 'payload' | 'maxAttempts'>

/** A job as it is shown. Finished ones are kept for a week. */
interface Job {
  readonly id: string
  readonly kind: string
  readonly state: JobRow['state']
  readonly attempts: number
  readonly cancelRequested: boolean
  readonly lastError: string | undefined
  readonly progress: unknown
}

/** Durable work: what is queued is done at least once, by one process at a time, whatever processes die. See docs/jobs.md. */
export interface JobQueue extends AsyncDisposable {
  /** Durable once it resolves (with `transaction`: once that is committed). Throws TypeError for a payload that the schema does not take. */
  enqueue<P extends z.ZodType>(job: QueuedKind<P>, payload: z.input<P>, options?: EnqueueOptions): Promise<{ id: string; created: boolean }>
  get(id: string): Promise<Job | undefined>
  /** A queued job ends at once; a running one gets its signal, and may still succeed. Gives the job as it is then. */
  cancel(id: string): Promise<Job | undefined>
  /** Looks for jobs, from before this process began too, until it is disposed of. Without it, from the first `enqueue`. */
  start(): void
  /** Takes no more jobs, gives those that run so many milliseconds, then aborts their signals and gives them back. */
  drain(options: { readonly timeout: number }): Promise<void>
  /** Attempts that run in this process. */
  readonly running: number
}

export function createJobQueue(options: JobQueueOptions): JobQueue {
  return new DatabaseJobQueue(options)
}

const defaultConcurrency = 4
const defaultLease = 30_000

/** Milliseconds. */
const pause = {
  /** Between two looks at most, while jobs wait: the clocks of two machines need not agree on how long that is. */
  max: 60_000,
  /** After a look that found a job which another process was just taking. */
  contended: 100,
  /** After one that failed. */
  failed: 1000,
  /** Between two tries to open a database that cannot be used. */
  unusable: 10_000,
  /** That an aborted job gets to end before it is given back all the same. */
  aborted: 500,
} as const

const deleteOldAgain = 3_600_000

interface OpenQueue {
  readonly database: Database
  readonly rows: JobRows
}

class DatabaseJobQueue implements JobQueue {
  readonly #options: JobQueueOptions
  readonly #definitions: ReadonlyMap<string, AnyJobDefinition>
  readonly #kinds: readonly string[]
  #opening: Promise<OpenQueue> | undefined
  readonly #lease: number
  /** Of this queue alone: a restarted process is another owner. */
  readonly #owner = crypto.randomUUID()
  readonly #running = new Map<JobAttempt, Promise<void>>()
  #state: 'idle' | 'started' | 'draining' = 'idle'
  #watching: RevisionSubscription[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #heartbeat: ReturnType<typeof setInterval> | undefined
  #looking: Promise<void> | undefined
  #lookAgain = false
  #renewing = false
  #deletedOldAt = -Infinity
  #draining: Promise<void> | undefined

  constructor(options: JobQueueOptions) {
    this.#options = options
    this.#definitions = new Map(options.definitions.map((definition) => [definition.kind, definition]))
    if (this.#definitions.size < options.definitions.length) throw new Error('two kinds of jobs have the same name')
    this.#kinds = [...this.#definitions.keys()]
    this.#lease = options.lease ?? defaultLease
  }

  get running(): number {
    return this.#running.size
  }

  async enqueue<P extends z.ZodType>(job: QueuedKind<P>, payload: z.input<P>, options: EnqueueOptions = {}) {
    const { kind, maxAttempts = 5 } = job
    const parsed = job.payload.safeParse(payload)
    if (!parsed.success) throw new TypeError(`the payload of a job '${kind}' is not valid: ${parsed.error.message}`)
    const { key, delay = 0, transaction } = options
    const row = { kind, key, payload: JSON.stringify(payload), delay, maxAttempts }
    const { database, rows } = await this.#open()
    if (transaction) {
      const queued = await rows.insert(row, transaction)
      this.start()
      return queued
    }
    const queued = await database.write((own) => rows.insert(row, own))
    if (this.#state === 'started') this.#look()
    else this.start()
    return queued
  }

  async get(id: string): Promise<Job | undefined> {
    const { rows } = await this.#open()
    return shown(await rows.get(id))
  }

  async cancel(id: string): Promise<Job | undefined> {
    const { rows } = await this.#open()
    const row = await rows.cancel(id)
    if (row?.state === 'running') for (const attempt of this.#running.keys()) if (attempt.id === id) attempt.cancel()
    return shown(row)
  }

  start(): void {
    if (this.#state !== 'idle' || this.#kinds.length === 0) return
    this.#state = 'started'
    void this.#watch()
  }

  drain({ timeout }: { readonly timeout: number }): Promise<void> {
    return (this.#draining ??= this.#drain(timeout))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain({ timeout: 0 })
  }

  /** What SQL takes is loaded with the first job. */
  #open(): Promise<OpenQueue> {
    const { database } = this.#options
    const open = async (): Promise<OpenQueue> => {
      const [{ JobRows: Rows }, opened] = await Promise.all([import('./rows.ts'), database.open()])
      return { database: opened, rows: new Rows(opened) }
    }
    this.#opening ??= open().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  async #watch(): Promise<void> {
    // A job that is queued here opens it as well.
    if (!this.#opening) await this.#options.database.whenPresent?.()
    if (this.#state !== 'started') return
    try {
      const { database } = await this.#open()
      if (this.#state !== 'started') return
      // `onChange` is called once at first too: that is the first look.
      this.#watching = [
        database.watch(jobScopes.queued, { onChange: () => this.#look(), onError: ignored }),
        database.watch(jobScopes.cancelled, { onChange: () => void this.#renew(), onError: ignored }),
      ]
    } catch (error) {
      this.#options.events?.unexpected('looking for jobs', error)
      this.#timer = setTimeout(() => void this.#watch(), pause.unusable)
      this.#timer.unref()
    }
  }

  /** Looks for what is due, now or, if that is under way, after it. */
  #look(): void {
    if (this.#state !== 'started') return
    this.#lookAgain = true
    this.#looking ??= this.#lookUntilDone().finally(() => (this.#looking = undefined))
  }

  async #lookUntilDone(): Promise<void> {
    while (this.#lookAgain && this.#state === 'started') {
      this.#lookAgain = false
      clearTimeout(this.#timer)
      let next: number | undefined
      try {
        next = await this.#lookOnce()
      } catch (error) {
        this.#options.events?.unexpected('looking for jobs', error)
        next = pause.failed
      }
      if (next === undefined || this.#state !== 'started') continue
      this.#timer = setTimeout(() => this.#look(), Math.min(next, pause.max))
      this.#timer.unref()
    }
  }

  /** Gives the milliseconds after which to look again; undefined: when something is queued. */
  async #lookOnce(): Promise<number | undefined> {
    const open = await this.#open()
    for (;;) {
      const due = await open.rows.nextDue(this.#freeKinds(), this.#kinds)
      if ((due.expired ?? 1) > 0 && (due.queued ?? 1) > 0) {
        await this.#deleteOld(open)
        return earliest(due)
      }
      const reaped = (due.expired ?? 1) <= 0 ? await open.rows.reap(this.#kinds) : 0
      const claimed = await this.#claim(open)
      if (this.#state !== 'started') return undefined
      if (reaped === 0 && claimed === 0) return pause.contended
    }
  }

  /** Kinds of which this process could begin another job. */
  #freeKinds(): string[] {
    return this.#kinds.filter((kind) => this.#freeFor(kind) > 0)
  }

  #freeFor(kind: string): number {
    const { concurrency = defaultConcurrency } = this.#options
    const limit = this.#definitions.get(kind)?.concurrency ?? concurrency
    const running = [...this.#running.keys()].filter((attempt) => attempt.kind === kind).length
    return Math.min(limit - running, concurrency - this.#running.size)
  }

  async #claim(open: OpenQueue): Promise<number> {
    const kinds = this.#freeKinds()
    if (kinds.length === 0) return 0
    const claimedAt = performance.now()
    const rows = await open.rows.claim(this.#owner, this.#lease, { kinds, limit: Math.min(...kinds.map((kind) => this.#freeFor(kind))) })
    for (const row of rows) this.#begin(row, claimedAt, open)
    return rows.length
  }

  #begin(row: JobRow, claimedAt: number, { database, rows }: OpenQueue): void {
    const { events } = this.#options
    const attempt = new JobAttempt(row, this.#owner, claimedAt, {
      database,
      rows,
      lease: this.#lease,
      onFailure: ({ id, kind, attempt: number }, error, next) =>
        events?.unexpected(`attempt ${number} of job ${id} (${kind}); ${next}`, error),
    })
    const definition = this.#definitions.get(row.kind)
    if (!definition) throw new Error(`a job of the kind '${row.kind}' was claimed but not requested`)
    const over = attempt.run(definition, row.payload).finally(() => {
      this.#running.delete(attempt)
      if (this.#running.size === 0) this.#stopHeartbeat()
      this.#look()
    })
    this.#running.set(attempt, over)
    if (this.#state === 'draining') attempt.stop()
    if (this.#heartbeat === undefined) this.#startHeartbeat()
  }

  #startHeartbeat(): void {
    this.#heartbeat = setInterval(() => void this.#renew(), this.#lease / 3)
    // A job that runs does not keep the process alive by itself.
    this.#heartbeat.unref()
  }

  #stopHeartbeat(): void {
    clearInterval(this.#heartbeat)
    this.#heartbeat = undefined
  }

  async #renew(): Promise<void> {
    const attempts = [...this.#running.keys()]
    for (const attempt of attempts) attempt.checkLease()
    if (this.#renewing || attempts.length === 0) return
    this.#renewing = true
    const since = performance.now()
    try {
      const { rows } = await this.#open()
      const held = await rows.renew(this.#owner, this.#lease, [...new Set(attempts.map(({ id }) => id))])
      const byAttempt = new Map(held.map((row) => [`${row.id} ${row.attempts}`, row]))
      for (const attempt of attempts) {
        const row = byAttempt.get(`${attempt.id} ${attempt.attempt}`)
        if (!row) attempt.lost()
        else if (row.renewed) attempt.renewed(since)
        if (row?.cancel_requested === 1) attempt.cancel()
      }
    } catch {
      // The database reports its own failures. Leases are not renewed meanwhile; `checkLease` aborts attempts whose lease has expired.
    } finally {
      this.#renewing = false
    }
  }

  async #deleteOld({ rows }: OpenQueue): Promise<void> {
    if (performance.now() - this.#deletedOldAt < deleteOldAgain) return
    this.#deletedOldAt = performance.now()
    await rows.deleteOld()
  }

  async #drain(timeout: number): Promise<void> {
    this.#state = 'draining'
    clearTimeout(this.#timer)
    // What it has claimed has begun then.
    await this.#looking
    await this.#allOverWithin(timeout)
    for (const attempt of this.#running.keys()) attempt.stop()
    await this.#allOverWithin(pause.aborted)
    await Promise.all([...this.#running.keys()].map((attempt) => attempt.release()))
    this.#stopHeartbeat()
    for (const watching of this.#watching) watching[Symbol.dispose]()
  }

  async #allOverWithin(milliseconds: number): Promise<void> {
    if (this.#running.size === 0) return
    await within(milliseconds, Promise.all(this.#running.values()), undefined)
  }
}

function earliest({ queued, expired }: NextDue): number | undefined {
  if (queued === undefined || expired === undefined) return queued ?? expired
  return Math.min(queued, expired)
}

function shown(row: JobRow | undefined): Job | undefined {
  return (
    row && {
      id: row.id,
      kind: row.kind,
      state: row.state,
      attempts: row.attempts,
      cancelRequested: row.cancel_requested === 1,
      lastError: row.last_error ?? undefined,
      progress: row.progress === null ? undefined : JSON.parse(row.progress),
    }
  )
}

/** That the database is out of reach is reported where it is opened; `onChange` follows once it is back. */
function ignored(): void {}
