import { z } from 'zod'
import { type AnyJobDefinition, defineJob, type JobContext } from '../../src/jobs/definition.ts'
import { createJobQueue, type JobQueueOptions } from '../../src/jobs/queue.ts'
import type { Database } from '../../src/storage/database.ts'
import { until } from '../storage/processes.ts'

/** A kind of job that does what the test says. */
export function job(run: (context: JobContext, payload: { n: number }) => Promise<void>, options: Partial<AnyJobDefinition> = {}) {
  const { maxAttempts, backoff, concurrency, kind = 'test.job' } = options
  return defineJob({
    kind,
    payload: z.object({ n: z.int() }),
    run: (payload, context) => run(context, payload),
    maxAttempts,
    backoff,
    concurrency,
  })
}

export const nothing = job(() => Promise.resolve())

export function queueOf(database: Database, definitions: readonly AnyJobDefinition[], options: Partial<JobQueueOptions> = {}) {
  return createJobQueue({ database, definitions, ...options })
}

export const rowOf = async (database: Database, id: string) => {
  const row = await database.read.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst()
  if (!row) throw new Error(`there is no job ${id}`)
  return row
}

export const ended = async (database: Database, id: string) => {
  await until(async () => !['queued', 'running'].includes((await rowOf(database, id)).state))
  return await rowOf(database, id)
}

/** Makes a job look as if a process had taken it that has died since. */
export const abandon = (database: Database, id: string, changes: object) =>
  database.write((transaction) =>
    transaction
      .updateTable('jobs')
      .set({ state: 'running', attempts: 1, lease_owner: 'dead', lease_until: 1, ...changes })
      .where('id', '=', id)
      .execute(),
  )
