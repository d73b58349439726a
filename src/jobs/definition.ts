import type { z } from 'zod'
import type { Call } from '../call.ts'
import type { Transaction } from '../storage/database.ts'
import type { Backoff } from './backoff.ts'

/** A kind of job as data. A queue runs the kinds in its list; any other is left to processes that know it. */
export interface JobDefinition<Payload extends z.ZodType = z.ZodType> {
  /** Stored with each job, e.g. `file.parse`: never changed once jobs of it may be queued. */
  readonly kind: string
  /** Checked when a job is queued, and again before each attempt: an older version may have queued it. */
  readonly payload: Payload
  /**
   * One attempt. It may be repeated, after an error or the death of its process, so what it does must bear that: by `context.finish`, by steps
   * that `context.saveProgress` records, or by writes that the next attempt overwrites. Throwing fails the attempt.
   */
  run(payload: z.output<Payload>, context: JobContext): Promise<void>
  /** Attempts after which a failing job is given up. Default 5. */
  readonly maxAttempts?: number | undefined
  /** Between two attempts. Default: 1 s, doubled each time, up to 5 min. */
  readonly backoff?: Partial<Backoff> | undefined
  /** Jobs of this kind that one process runs at once. Default: the queue's limit for all. */
  readonly concurrency?: number | undefined
}

/** What one attempt works with. */
export interface JobContext {
  readonly id: string
  /** 1, 2, … */
  readonly attempt: number
  /** Aborts when the job is cancelled, the lease is lost or the process stops: the attempt is to end soon, by throwing. */
  readonly signal: AbortSignal
  /** The job's work runs as the server itself. */
  readonly call: Call
  /** What an attempt has saved last; undefined before the first time. */
  readonly progress: unknown
  /** Records progress, as JSON, for the next attempt and for those who ask for the job. Throws JobLeaseLostError. */
  readonly saveProgress: (progress: unknown) => Promise<void>
  /**
   * A transaction that is kept only while this attempt holds the job. Throws JobLeaseLostError, and nothing is written, once another process has
   * taken it over.
   */
  readonly write: <T>(work: (transaction: Transaction) => Promise<T>) => Promise<T>
  /** The same, and the job is done with it: what `work` writes is committed exactly once, however often the job is attempted. */
  readonly finish: (work: (transaction: Transaction) => Promise<void>) => Promise<void>
}

// A list holds jobs of every payload; each was checked against its own schema where it was defined.
export type AnyJobDefinition = Omit<JobDefinition, 'run'> & { run(payload: never, context: JobContext): Promise<void> }

export function defineJob<Payload extends z.ZodType>(definition: JobDefinition<Payload>): JobDefinition<Payload> {
  return definition
}

/** Another process has taken the job over: what this attempt writes is refused. */
export class JobLeaseLostError extends Error {
  constructor(id: string, attempt: number) {
    super(`attempt ${attempt} of job '${id}' has lost its lease: another process may be running the job`)
    this.name = 'JobLeaseLostError'
  }
}

/** Somebody has cancelled the job. */
export class JobCancelledError extends Error {
  constructor(id: string) {
    super(`job '${id}' has been cancelled`)
    this.name = 'JobCancelledError'
  }
}

/** The process stops: the job goes back to the queue, and the attempt does not count. */
export class JobReleasedError extends Error {
  constructor(id: string) {
    super(`this process is stopping: job '${id}' goes back to the queue`)
    this.name = 'JobReleasedError'
  }
}

/** To be thrown by a job that no further attempt can help. */
export class UnrecoverableJobError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'UnrecoverableJobError'
  }
}
