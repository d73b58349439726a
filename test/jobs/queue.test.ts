import { describe, expect, setSystemTime, test } from 'bun:test'
import { sql } from 'kysely'
import { z } from 'zod'
import { JobCancelledError, UnrecoverableJobError } from '../../src/jobs/definition.ts'
import { createJobQueue } from '../../src/jobs/queue.ts'
import type { Database } from '../../src/storage/database.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { bumpRevision } from '../../src/storage/revisions.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { until } from '../storage/processes.ts'
import { abandon, ended, job, nothing, queueOf, rowOf } from './jobs.ts'
import { aborted } from './kinds.ts'

for (const engine of engines) {
  describe(`jobs on ${engine.name}`, () => {
    test('[JOB-4] a job gets its payload, ends, and is shown as what became of it', async () => {
      await using database = await engine.open()
      const seen: number[] = []
      const one = job(async ({ signal, attempt, call }, { n }) => {
        expect([signal.aborted, attempt, call.principal?.id]).toEqual([false, 1, 'system'])
        seen.push(n)
      })
      await using queue = queueOf(database, [one])
      const { id, created } = await queue.enqueue(one, { n: 7 })
      expect(created).toBe(true)
      await ended(database, id)
      expect(seen).toEqual([7])
      expect(await queue.get(id)).toEqual({
        id,
        kind: 'test.job',
        state: 'succeeded',
        attempts: 1,
        cancelRequested: false,
        lastError: undefined,
        progress: undefined,
      })
      expect(await queue.get('job_none')).toBeUndefined()
    })

    test('[JOB-4] a job may take the functions out of its context', async () => {
      await using database = await engine.open()
      const one = job(async ({ saveProgress, write, finish }) => {
        await saveProgress({ step: 1 })
        await write((transaction) => bumpRevision(transaction, 'effect'))
        await finish((transaction) => bumpRevision(transaction, 'effect'))
      })
      await using queue = queueOf(database, [one])
      const { id } = await queue.enqueue(one, { n: 1 })
      await ended(database, id)
      expect(await queue.get(id)).toMatchObject({ state: 'succeeded', progress: { step: 1 } })
      expect(await database.read.selectFrom('revisions').selectAll().where('scope', '=', 'effect').execute()).toEqual([
        { scope: 'effect', value: 2 },
      ])
    })

    test('[JOB-4] a payload that the schema refuses is not queued; one that is there already fails at once', async () => {
      await using database = await engine.open()
      await using queue = queueOf(database, [nothing])
      const wrong = { n: 'x' } as unknown as { n: number }
      expect(await failureOf(queue.enqueue(nothing, wrong))).toBeInstanceOf(TypeError)
      const older = { ...nothing, payload: z.any() }
      const { id } = await queue.enqueue(older, wrong)
      expect(await ended(database, id)).toMatchObject({ state: 'failed', attempts: 1 })
    })

    test('[JOB-5] while a job with a key is queued or running, another of its kind with this key is the same', async () => {
      await using database = await engine.open()
      const release = Promise.withResolvers<void>()
      const one = job(() => release.promise)
      await using queue = queueOf(database, [one])
      const other = job(() => Promise.resolve(), { kind: 'test.other' })
      const all = await Promise.all(Array.from({ length: 10 }, (_, n) => queue.enqueue(one, { n }, { key: 'k' })))
      const [first] = all
      expect(new Set(all.map(({ id }) => id)).size).toBe(1)
      expect(all.filter(({ created }) => created)).toHaveLength(1)
      const id = first?.id ?? ''
      await until(async () => (await rowOf(database, id)).state === 'running')
      expect(await queue.enqueue(one, { n: 1 }, { key: 'k' })).toEqual({ id, created: false })
      expect((await queue.enqueue(other, { n: 1 }, { key: 'k' })).created).toBe(true)
      expect((await queue.enqueue(one, { n: 1 })).created).toBe(true)
      release.resolve()
      await ended(database, id)
      expect((await queue.enqueue(one, { n: 1 }, { key: 'k' })).created).toBe(true)
    })

    test('[JOB-6] a job is queued with the transaction that asks for it, or not at all', async () => {
      await using database = await engine.open()
      await using queue = queueOf(database, [nothing])
      const undone = database.write(async (transaction) => {
        await queue.enqueue(nothing, { n: 1 }, { transaction })
        throw new Error('undone')
      })
      expect(await failureOf(undone)).toMatchObject({ message: 'undone' })
      expect(await database.read.selectFrom('jobs').select('id').execute()).toEqual([])
      const { id } = await database.write((transaction) => queue.enqueue(nothing, { n: 1 }, { transaction }))
      expect(await ended(database, id)).toMatchObject({ state: 'succeeded' })
    })

    test('[JOB-7] a failing job is attempted again after its backoff, up to its number of attempts, and says why', async () => {
      await using database = await engine.open()
      const failures: string[] = []
      const one = job(
        ({ attempt }) => {
          throw new Error(`wrong ${attempt}`)
        },
        { maxAttempts: 3, backoff: { initial: 20, max: 40 } },
      )
      await using queue = queueOf(database, [one], { events: { unexpected: (where) => failures.push(where) } })
      const { id } = await queue.enqueue(one, { n: 1 })
      expect(await ended(database, id)).toMatchObject({ state: 'failed', attempts: 3, last_error: 'wrong 3', lease_owner: null })
      expect(failures).toHaveLength(3)
      expect(failures[0]).toMatch(/^attempt 1 of job job_\w+ \(test\.job\); next attempt in \d+ ms$/)
      expect(failures[2]).toEndWith('; no further attempt')
    })

    test('[JOB-7] an attempt that fails waits in the queue until its time', async () => {
      await using database = await engine.open()
      const one = job(() => Promise.reject(new Error('wrong')), { backoff: { initial: 100_000 } })
      await using queue = queueOf(database, [one])
      const { id } = await queue.enqueue(one, { n: 1 })
      await until(async () => (await rowOf(database, id)).last_error === 'wrong')
      const row = await rowOf(database, id)
      expect(row).toMatchObject({ state: 'queued', attempts: 1, lease_owner: null })
      expect(row.run_at - row.created_at).toBeGreaterThanOrEqual(50_000)
    })

    test('[JOB-7] an unrecoverable error ends a job at its first attempt', async () => {
      await using database = await engine.open()
      const one = job(() => Promise.reject(new UnrecoverableJobError('no such file')))
      await using queue = queueOf(database, [one])
      const { id } = await queue.enqueue(one, { n: 1 })
      expect(await ended(database, id)).toMatchObject({ state: 'failed', attempts: 1, last_error: 'no such file' })
    })

    test('[JOB-8] a job is not started before its time, by the clock of the database', async () => {
      await using database = await engine.open()
      const order: number[] = []
      const one = job(async (_context, { n }) => void order.push(n))
      await using queue = queueOf(database, [one], { concurrency: 1 })
      try {
        // A process whose own clock is a day ahead.
        setSystemTime(new Date(Date.now() + 86_400_000))
        const late = await queue.enqueue(one, { n: 1 }, { delay: 300 })
        const later = await queue.enqueue(one, { n: 2 }, { delay: 3_600_000 })
        const now = await queue.enqueue(one, { n: 3 })
        setSystemTime()
        await ended(database, now.id)
        await ended(database, late.id)
        expect(order).toEqual([3, 1])
        expect((await rowOf(database, later.id)).state).toBe('queued')
      } finally {
        setSystemTime()
      }
    })

    test('[JOB-9] a queued job that is cancelled never runs; a running one gets its signal', async () => {
      await using database = await engine.open()
      const reasons: unknown[] = []
      const one = job(async ({ signal }) => {
        await aborted(signal)
        reasons.push(signal.reason)
        throw signal.reason
      })
      await using queue = queueOf(database, [one])
      const { id: waiting } = await queue.enqueue(one, { n: 1 }, { delay: 3_600_000 })
      expect(await queue.cancel(waiting)).toMatchObject({ state: 'cancelled' })
      const { id } = await queue.enqueue(one, { n: 1 })
      await until(() => queue.running === 1)
      expect(await queue.cancel(id)).toMatchObject({ state: 'running', cancelRequested: true })
      expect(await ended(database, id)).toMatchObject({ state: 'cancelled' })
      expect(reasons).toEqual([expect.any(JobCancelledError)])
      expect(await queue.cancel(id)).toMatchObject({ state: 'cancelled' })
      expect(await queue.cancel('job_none')).toBeUndefined()
    })

    test('[JOB-9] a job that runs in another process is cancelled long before its next heartbeat', async () => {
      await using place = await engine.fresh()
      await using here = await openDatabase(place.backend)
      await using there = await openDatabase(place.backend)
      const one = job(async ({ signal }) => {
        await aborted(signal)
        throw signal.reason
      })
      await using runner = queueOf(there, [one], { lease: 3_600_000 })
      runner.start()
      const queue = queueOf(here, [])
      const { id } = await queue.enqueue(one, { n: 1 })
      await until(() => runner.running === 1)
      await queue.cancel(id)
      expect(await ended(here, id)).toMatchObject({ state: 'cancelled' })
    })

    test('[JOB-9] a job that ends well after it was cancelled has succeeded', async () => {
      await using database = await engine.open()
      const one = job(({ signal }) => aborted(signal))
      await using queue = queueOf(database, [one])
      const { id } = await queue.enqueue(one, { n: 1 })
      await until(() => queue.running === 1)
      await queue.cancel(id)
      expect(await ended(database, id)).toMatchObject({ state: 'succeeded', cancel_requested: 1 })
    })

    test('[JOB-11] no more run at once than the queue and the kind permit', async () => {
      await using database = await engine.open()
      const running = new Map<string, number>()
      const peak = new Map<string, number>()
      const enter = (kind: string, by: number) => {
        const now = (running.get(kind) ?? 0) + by
        running.set(kind, now)
        peak.set(kind, Math.max(peak.get(kind) ?? 0, now))
      }
      const limited = (kind: string, concurrency?: number) =>
        job(
          async () => {
            for (const name of [kind, 'all']) enter(name, 1)
            await database.read.selectFrom('jobs').select('id').execute()
            for (const name of [kind, 'all']) enter(name, -1)
          },
          { kind, concurrency },
        )
      const kinds = [limited('test.one', 1), limited('test.any')]
      await using queue = queueOf(database, kinds, { concurrency: 3 })
      const ids: string[] = []
      for (let n = 0; n < 12; n++) for (const kind of kinds) ids.push((await queue.enqueue(kind, { n })).id)
      for (const id of ids) await ended(database, id)
      expect(peak.get('test.one')).toBe(1)
      expect(peak.get('all')).toBeLessThanOrEqual(3)
    })

    test('[JOB-12] jobs of a kind that this process does not know are left to those that do', async () => {
      await using database = await engine.open()
      await using queue = queueOf(database, [nothing])
      const unknown = { ...nothing, kind: 'test.newer' }
      const { id } = await queue.enqueue(unknown, { n: 1 })
      await abandon(database, (await queue.enqueue(unknown, { n: 2 })).id, {})
      await ended(database, (await queue.enqueue(nothing, { n: 3 })).id)
      expect((await database.read.selectFrom('jobs').select('state').where('kind', '=', 'test.newer').execute()).length).toBe(2)
      expect(await rowOf(database, id)).toMatchObject({ state: 'queued' })
    })

    test('[JOB-13] what one process queues another begins without waiting for a timer', async () => {
      await using place = await engine.fresh()
      await using here = await openDatabase(place.backend)
      await using there = await openDatabase(place.backend)
      await using runner = queueOf(there, [nothing])
      runner.start()
      const { id } = await queueOf(here, []).enqueue(nothing, { n: 1 })
      expect(await ended(here, id)).toMatchObject({ state: 'succeeded' })
    })

    test('[JOB-16] jobs that have been finished for a week are deleted', async () => {
      await using database = await engine.open()
      const later = queueOf(database, [])
      const [old, recent] = [await later.enqueue(nothing, { n: 1 }), await later.enqueue(nothing, { n: 2 })]
      await later.cancel(old.id)
      await later.cancel(recent.id)
      const week = 7 * 24 * 3600 * 1000
      await database.write((transaction) =>
        transaction
          .updateTable('jobs')
          .set({ finished_at: sql<number>`finished_at - ${week + 1000}` })
          .where('id', '=', old.id)
          .execute(),
      )
      await using queue = queueOf(database, [nothing])
      queue.start()
      await until(async () => (await queue.get(old.id)) === undefined)
      expect(await queue.get(recent.id)).toMatchObject({ state: 'cancelled' })
    })
  })
}

/** A database that can only be opened, and fails to. */
function closedDatabase() {
  const present = Promise.withResolvers<void>()
  let opened = 0
  return {
    get opened() {
      return opened
    },
    present: present.resolve,
    whenPresent: () => present.promise,
    open(): Promise<Database> {
      opened++
      return Promise.reject(new Error('it cannot be opened'))
    },
  }
}

describe('a queue that is not used', () => {
  test('[JOB-14] opens no database before there is a job, or a kind to look for and a database that exists', async () => {
    const database = closedDatabase()
    const unused = createJobQueue({ database, definitions: [nothing] })
    expect(unused.running).toBe(0)
    await unused.drain({ timeout: 0 })
    const withoutKinds = createJobQueue({ database, definitions: [] })
    withoutKinds.start()
    await withoutKinds[Symbol.asyncDispose]()
    expect(database.opened).toBe(0)

    const failures: string[] = []
    await using started = createJobQueue({ database, definitions: [nothing], events: { unexpected: (where) => failures.push(where) } })
    started.start()
    await Promise.resolve()
    expect(database.opened).toBe(0)
    database.present()
    await until(() => failures.length === 1)
    expect([database.opened, failures]).toEqual([1, ['looking for jobs']])
    expect(await failureOf(started.enqueue(nothing, { n: 1 }))).toMatchObject({ message: 'it cannot be opened' })
  })

  test('two kinds of one name are a mistake', () => {
    expect(() => createJobQueue({ database: closedDatabase(), definitions: [nothing, nothing] })).toThrow('the same name')
  })
})
