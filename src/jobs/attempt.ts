import { type Call, systemCall } from '../call.ts'
import { shortened } from '../errors.ts'
import type { Database, Transaction } from '../storage/database.ts'
import { isDatabaseUnavailable } from '../storage/errors.ts'
import type { JobRow } from '../storage/tables.ts'
import { retryDelay } from './backoff.ts'
import {
  type AnyJobDefinition,
  JobCancelledError,
  type JobContext,
  JobLeaseLostError,
  JobReleasedError,
  UnrecoverableJobError,
} from './definition.ts'
import type { Fence, JobRows } from './rows.ts'
import { sleep } from '../timing.ts'

interface AttemptDeps {
  readonly database: Database
  readonly rows: JobRows
  /** Milliseconds. */
  readonly lease: number
  /** An attempt has failed; `next` says in words what follows. */
  readonly onFailure?: ((attempt: JobAttempt, error: unknown, next: string) => void) | undefined
}

/** Milliseconds between two tries to record how an attempt ended, while the database is out of reach. */
const recordAgain = 500

const maxErrorLength = 2000

/** One attempt of a job, from the claim to its recorded end. */
export class JobAttempt implements JobContext {
  readonly id: string
  readonly attempt: number
  readonly kind: string
  readonly call: Call
  progress: unknown
  readonly #controller = new AbortController()
  readonly #fence: Fence
  readonly #maxAttempts: number
  readonly #deps: AttemptDeps
  /** By the clock of this process (`performance.now()`), counted from before the claim or renewal was sent: never later than the database's. */
  #leaseUntil: number
  #state: 'running' | 'finishing' | 'over' = 'running'

  /** @param claimedAt `performance.now()` before the claim */
  constructor(row: JobRow, owner: string, claimedAt: number, deps: AttemptDeps) {
    this.id = row.id
    this.kind = row.kind
    this.attempt = row.attempts
    this.progress = row.progress === null ? undefined : JSON.parse(row.progress)
    this.#fence = { id: row.id, owner, attempt: row.attempts }
    this.#maxAttempts = row.max_attempts
    this.#deps = deps
    this.#leaseUntil = claimedAt + deps.lease
    this.call = systemCall(row.id, this.signal)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Runs it and records the outcome. Never rejects. */
  async run(definition: AnyJobDefinition, payload: string): Promise<void> {
    try {
      await this.#runOnce(definition, payload)
      if (this.#state === 'running') await this.#record(() => this.#deps.rows.succeed(this.#fence))
    } catch (error) {
      if (this.#state === 'running') await this.#recordFailure(definition, error)
    } finally {
      this.#state = 'over'
    }
  }

  async #runOnce(definition: AnyJobDefinition, payload: string): Promise<void> {
    const parsed = definition.payload.safeParse(JSON.parse(payload))
    if (!parsed.success) throw new UnrecoverableJobError(`its payload is not valid: ${parsed.error.message}`, parsed.error)
    this.signal.throwIfAborted()
    await definition.run(parsed.data as never, this)
  }

  // What jobs are given are functions of their own, which a job may take out of its context.
  readonly saveProgress = async (progress: unknown): Promise<void> => {
    this.#assertHeld()
    if (!(await this.#deps.rows.saveProgress(this.#fence, JSON.stringify(progress)))) throw this.#lost()
    this.progress = progress
  }

  readonly write = async <T>(work: (transaction: Transaction) => Promise<T>): Promise<T> => {
    this.#assertHeld()
    const { database, rows, lease } = this.#deps
    const since = performance.now()
    const result = await database.write(async (transaction) => {
      if (!(await rows.hold(this.#fence, lease, transaction))) throw this.#lost()
      return await work(transaction)
    })
    this.renewed(since)
    return result
  }

  readonly finish = async (work: (transaction: Transaction) => Promise<void>): Promise<void> => {
    this.#assertHeld()
    const { database, rows, lease } = this.#deps
    this.#state = 'finishing'
    try {
      await database.write(async (transaction) => {
        if (!(await rows.hold(this.#fence, lease, transaction))) throw this.#lost()
        await work(transaction)
        if (!(await rows.succeedWithin(this.#fence, transaction))) throw this.#lost()
      })
      this.#state = 'over'
    } catch (error) {
      this.#state = 'running'
      throw error
    }
  }

  /** The lease now runs from `since` (`performance.now()`, before the renewal was sent). */
  renewed(since: number): void {
    this.#leaseUntil = Math.max(this.#leaseUntil, since + this.#deps.lease)
  }

  /** A renewal found that this attempt does not hold the job. While its end is being written that write decides. */
  lost(): void {
    if (this.#state === 'running') this.#lost()
  }

  /** The database could not be asked: without a renewal the lease is lost at its end. */
  checkLease(): void {
    if (performance.now() >= this.#leaseUntil) this.lost()
  }

  cancel(): void {
    this.#controller.abort(new JobCancelledError(this.id))
  }

  /** Stops the attempt; `release` then gives the job back. */
  stop(): void {
    this.#controller.abort(new JobReleasedError(this.id))
  }

  /** Gives the job back while its code has not ended: whatever that still writes is refused. */
  async release(): Promise<void> {
    if (this.#state !== 'running') return
    this.#state = 'over'
    await this.#record(() => this.#deps.rows.release(this.#fence))
  }

  #assertHeld(): void {
    if (this.signal.reason instanceof JobLeaseLostError) throw this.signal.reason
    if (this.#state !== 'running') throw new JobLeaseLostError(this.id, this.attempt)
  }

  #lost(): JobLeaseLostError {
    const error = new JobLeaseLostError(this.id, this.attempt)
    this.#controller.abort(error)
    return error
  }

  async #recordFailure(definition: AnyJobDefinition, error: unknown): Promise<void> {
    const { rows, onFailure } = this.#deps
    const { reason } = this.signal as { reason: unknown }
    if (reason instanceof JobLeaseLostError) return
    if (reason instanceof JobReleasedError) return await this.#record(() => rows.release(this.#fence))
    const text = textOf(error)
    if (reason instanceof JobCancelledError) return await this.#record(() => rows.end(this.#fence, 'cancelled', text))
    const isLast = error instanceof UnrecoverableJobError || this.attempt >= this.#maxAttempts
    const delay = isLast ? undefined : retryDelay(this.attempt, definition.backoff)
    onFailure?.(this, error, delay === undefined ? 'no further attempt' : `next attempt in ${delay} ms`)
    await this.#record(() => (delay === undefined ? rows.end(this.#fence, 'failed', text) : rows.retry(this.#fence, delay, text)))
  }

  /** Tries until it is written, or the lease has run out: then another attempt finds out by itself. */
  async #record(write: () => Promise<boolean>): Promise<void> {
    for (;;) {
      try {
        if (!(await write())) this.#lost()
        return
      } catch (error) {
        if (!isDatabaseUnavailable(error) || performance.now() >= this.#leaseUntil) {
          this.#deps.onFailure?.(this, error, 'its outcome could not be recorded, so it will be attempted again')
          return
        }
        await sleep(recordAgain)
      }
    }
  }
}

function textOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return shortened(message, maxErrorLength).replaceAll('\0', '�')
}
