import { describe, expect, test } from 'bun:test'
import { type JobContext, JobLeaseLostError } from '../../src/jobs/definition.ts'
import type { Database, Transaction } from '../../src/storage/database.ts'
import { databaseUnavailable } from '../../src/storage/errors.ts'
import { bumpRevision } from '../../src/storage/revisions.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { until } from '../storage/processes.ts'
import { abandon, ended, job, nothing, queueOf, rowOf } from './jobs.ts'
import { aborted } from './kinds.ts'

const effect = (transaction: Transaction) => bumpRevision(transaction, 'effect')

for (const engine of engines) {
  describe(`leases of jobs on ${engine.name}`, () => {
    test('[JOB-3] a drain waits for what runs, and takes nothing new', async () => {
      await using database = await engine.open()
      const release = Promise.withResolvers<void>()
      const one = job(() => release.promise)
      const queue = queueOf(database, [one], { concurrency: 1 })
      const [first, second] = [await queue.enqueue(one, { n: 1 }), await queue.enqueue(one, { n: 2 })]
      await until(() => queue.running === 1)
      const drained = queue.drain({ timeout: 60_000 })
      release.resolve()
      await drained
      expect(await rowOf(database, first.id)).toMatchObject({ state: 'succeeded' })
      expect(await rowOf(database, second.id)).toMatchObject({ state: 'queued', attempts: 0 })
    })

    test('[JOB-3] code that does not heed its signal has its job given back, and can write no more', async () => {
      await using database = await engine.open()
      const release = Promise.withResolvers<void>()
      let failure: unknown
      const one = job(
        async (context) => {
          await release.promise
          failure = await failureOf(context.write((transaction) => bumpRevision(transaction, 'effect')))
        },
        { maxAttempts: 1 },
      )
      const queue = queueOf(database, [one])
      const { id } = await queue.enqueue(one, { n: 1 })
      await until(() => queue.running === 1)
      await queue.drain({ timeout: 0 })
      expect(await rowOf(database, id)).toMatchObject({ state: 'queued', attempts: 1, max_attempts: 2, lease_owner: null })
      release.resolve()
      await until(() => failure !== undefined)
      expect(failure).toBeInstanceOf(JobLeaseLostError)
    })

    test('[JOB-2] every write of an attempt is refused once another has the job', async () => {
      await using database = await engine.open()
      const stolen = Promise.withResolvers<void>()
      const failures: unknown[] = []
      const ways: ((context: JobContext) => Promise<void>)[] = [
        (context) => context.write(effect),
        (context) => context.finish(effect),
        (context) => context.saveProgress(1),
      ]
      const one = job(async (context, { n }) => {
        await stolen.promise
        const failure = await failureOf(ways[n]?.(context) ?? Promise.resolve())
        failures.push(failure)
        expect(context.signal.reason).toBe(failure)
        // Nor is its end written, whichever it is.
        if (n === 1) throw failure
      })
      await using queue = queueOf(database, [one], { lease: 3_600_000 })
      const ids = await Promise.all([0, 1, 2].map(async (n) => (await queue.enqueue(one, { n })).id))
      await until(() => queue.running === 3)
      await database.write((transaction) => transaction.updateTable('jobs').set({ attempts: 2, lease_owner: 'another' }).execute())
      stolen.resolve()
      await until(() => failures.length === 3 && queue.running === 0)
      expect(failures.map((failure) => failure instanceof JobLeaseLostError)).toEqual([true, true, true])
      for (const id of ids) {
        expect(await rowOf(database, id)).toMatchObject({ state: 'running', attempts: 2, lease_owner: 'another', progress: null })
      }
      expect(await database.read.selectFrom('revisions').selectAll().where('scope', '=', 'effect').execute()).toEqual([])
    })

    test('[JOB-2] an attempt is refused as well where its own process has begun the next one', async () => {
      await using database = await engine.open()
      const second = Promise.withResolvers<void>()
      const written = Promise.withResolvers<unknown>()
      const one = job(async (context) => {
        if (context.attempt === 1) {
          await second.promise
          written.resolve(await failureOf(context.write(effect)))
        } else {
          second.resolve()
          await written.promise
        }
      })
      await using queue = queueOf(database, [one], { lease: 3_600_000 })
      const { id } = await queue.enqueue(one, { n: 1 })
      await until(() => queue.running === 1)
      await database.write((transaction) => transaction.updateTable('jobs').set({ lease_until: 1 }).execute())
      await queue.enqueue(one, { n: 2 }, { delay: 3_600_000 })
      expect(await written.promise).toBeInstanceOf(JobLeaseLostError)
      expect(await ended(database, id)).toMatchObject({ state: 'succeeded', attempts: 2 })
    })

    test('[JOB-2] a heartbeat that finds the job taken aborts the attempt', async () => {
      await using database = await engine.open()
      let reason: unknown
      const one = job(async ({ signal }) => {
        await aborted(signal)
        reason = signal.reason
      })
      await using queue = queueOf(database, [one], { lease: 300 })
      const { id } = await queue.enqueue(one, { n: 1 })
      await until(() => queue.running === 1)
      await database.write((transaction) =>
        transaction.updateTable('jobs').set({ attempts: 2, lease_owner: 'another', lease_until: 9e15 }).execute(),
      )
      await until(() => reason !== undefined)
      expect(reason).toBeInstanceOf(JobLeaseLostError)
      expect(await rowOf(database, id)).toMatchObject({ state: 'running', lease_owner: 'another' })
    })

    test('[JOB-10] a long job keeps its lease by heartbeats', async () => {
      await using database = await engine.open()
      const release = Promise.withResolvers<void>()
      const one = job(() => release.promise)
      await using queue = queueOf(database, [one], { lease: 3000 })
      const { id } = await queue.enqueue(one, { n: 1 })
      await until(() => queue.running === 1)
      const { lease_until: first } = await rowOf(database, id)
      await until(async () => ((await rowOf(database, id)).lease_until ?? 0) > (first ?? 0))
      expect(await rowOf(database, id)).toMatchObject({ attempts: 1, state: 'running' })
      release.resolve()
      expect(await ended(database, id)).toMatchObject({ attempts: 1, state: 'succeeded' })
    })

    test('[JOB-10] a job whose lease has run out is taken over, given up after its attempts, or ended where it was cancelled', async () => {
      await using database = await engine.open()
      const later = queueOf(database, [])
      const ids = await Promise.all([1, 2, 3, 4].map(async (n) => (await later.enqueue({ ...nothing, maxAttempts: 2 }, { n })).id))
      const [taken = '', spent = '', cancelled = '', alive = ''] = ids
      await abandon(database, alive, { lease_until: 9e15 })
      await abandon(database, taken, {})
      await abandon(database, spent, { attempts: 2 })
      await abandon(database, cancelled, { cancel_requested: 1 })
      await using queue = queueOf(database, [nothing])
      queue.start()
      expect(await ended(database, taken)).toMatchObject({ state: 'succeeded', attempts: 2 })
      expect(await ended(database, spent)).toMatchObject({ state: 'failed', attempts: 2 })
      expect((await rowOf(database, spent)).last_error).toContain('stopped responding')
      expect(await ended(database, cancelled)).toMatchObject({ state: 'cancelled', attempts: 1 })
      expect(await rowOf(database, alive)).toMatchObject({ state: 'running', attempts: 1, lease_owner: 'dead' })
    })

    test('[JOB-15] the end of a job is recorded once the database is back', async () => {
      await using database = await engine.open()
      let isDown = false
      const failing: Database = {
        ...database,
        read: database.read,
        open: () => Promise.resolve(failing),
        statement: (statement) => (isDown ? Promise.reject(databaseUnavailable(new Error('down'))) : database.statement(statement)),
        write: (work) => (isDown ? Promise.reject(databaseUnavailable(new Error('down'))) : database.write(work)),
      }
      const release = Promise.withResolvers<void>()
      const runs: number[] = []
      const one = job(async ({ attempt }) => {
        runs.push(attempt)
        await release.promise
      })
      await using queue = queueOf(failing, [one])
      const { id } = await queue.enqueue(one, { n: 1 })
      await until(() => runs.length === 1)
      isDown = true
      release.resolve()
      expect(await rowOf(database, id)).toMatchObject({ state: 'running' })
      isDown = false
      expect(await ended(database, id)).toMatchObject({ state: 'succeeded', attempts: 1 })
    })

    test('[JOB-15] an attempt that cannot renew its lease is aborted when that has run out', async () => {
      await using database = await engine.open()
      let isDown = false
      const failing: Database = {
        ...database,
        read: database.read,
        open: () => Promise.resolve(failing),
        statement: (statement) => (isDown ? Promise.reject(databaseUnavailable(new Error('down'))) : database.statement(statement)),
      }
      let reason: unknown
      const one = job(async ({ signal, attempt }) => {
        if (attempt > 1) return
        isDown = true
        await aborted(signal)
        reason = signal.reason
        isDown = false
        throw reason
      })
      await using queue = queueOf(failing, [one], { lease: 300 })
      const { id } = await queue.enqueue(one, { n: 1 })
      expect(await ended(database, id)).toMatchObject({ state: 'succeeded', attempts: 2 })
      expect(reason).toBeInstanceOf(JobLeaseLostError)
    })
  })
}
