import { expect } from 'bun:test'
import * as fc from 'fast-check'
import { createJobQueue } from '../../src/jobs/queue.ts'
import type { Database } from '../../src/storage/database.ts'
import { openDatabase } from '../../src/storage/open.ts'
import type { TestEngine } from '../../src/testing/engines.ts'
import { until } from '../storage/processes.ts'
import { counting } from './kinds.ts'
import { startWorker, type Worker } from './workers.ts'

/** What befalls one of the workers, once they have printed so many more lines together. */
interface Blow {
  readonly after: number
  readonly worker: number
  readonly how: 'kill' | 'stop'
}

interface KillsSize {
  readonly runs: number
  readonly jobs: number
  readonly workers: number
  readonly blows: number
}

/** Milliseconds; short, so that leases run out during the test. */
const lease = 400

/** Workers that are killed and stopped at random moments: every job is done, and its effect is committed exactly once. */
export async function jobsSurvive(engine: TestEngine, { runs, jobs, workers, blows }: KillsSize): Promise<void> {
  const blow: fc.Arbitrary<Blow> = fc.record({
    after: fc.integer({ min: 0, max: 25 }),
    worker: fc.nat({ max: workers - 1 }),
    how: fc.constantFrom('kill', 'stop'),
  })
  const property = fc.asyncProperty(fc.array(blow, { minLength: Math.ceil(blows / 2), maxLength: blows }), async (sequence) => {
    await using place = await engine.fresh()
    await using database = await openDatabase(place.backend)
    const crew = Array.from({ length: workers }, () => startWorker(place.backend, lease))
    const retired: Worker[] = []
    try {
      const queue = createJobQueue({ database, definitions: [] })
      const job = counting(() => undefined)
      const queued = await Promise.all(Array.from({ length: jobs }, (_, at) => queue.enqueue(job, { steps: at % 4 })))
      const printed = () => [...crew, ...retired].reduce((count, { lines }) => count + lines.length, 0)
      for (const { after, worker, how } of sequence) {
        const target = printed() + after
        await until(async () => printed() >= target || (await unfinished(database)) === 0)
        const victim = crew[worker]
        if (!victim) continue
        if (how === 'kill') {
          await victim.kill()
          retired.push(victim)
          crew[worker] = startWorker(place.backend, lease)
        } else {
          victim.signal('SIGSTOP')
          await pastLease(database, victim)
          victim.signal('SIGCONT')
        }
      }
      await until(async () => (await unfinished(database)) === 0)
      await expectDoneOnce(
        database,
        queued.map(({ id }) => id),
      )
    } finally {
      await Promise.all(crew.map((worker) => worker.kill()))
    }
  })
  await fc.assert(property, { numRuns: runs, endOnFailure: true })
}

async function unfinished(database: Database): Promise<number> {
  const rows = await database.read.selectFrom('jobs').select('id').where('state', 'in', ['queued', 'running']).execute()
  return rows.length
}

/** Waits until others have what the stopped worker was running. Not for long: it may have been stopped with the lock of a SQLite file in hand. */
async function pastLease(database: Database, { lines }: Worker): Promise<void> {
  const ended = new Set(lines.filter((line) => !line.startsWith('begin')).map((line) => line.slice(line.indexOf(' ') + 1)))
  const held = lines.filter((line) => line.startsWith('begin ')).map((line) => line.slice(6))
  const running = held.filter((attempt) => !ended.has(attempt)).map((attempt) => attempt.split(' '))
  const giveUp = performance.now() + 5 * lease
  await until(async () => {
    if (performance.now() > giveUp) return true
    const rows = await database.read.selectFrom('jobs').select(['id', 'attempts', 'state']).execute()
    return running.every(([id, attempt]) =>
      rows.some((row) => row.id === id && (row.attempts > Number(attempt) || row.state !== 'running')),
    )
  })
}

async function expectDoneOnce(database: Database, ids: readonly string[]): Promise<void> {
  const rows = await database.read.selectFrom('jobs').select(['id', 'state', 'lease_owner']).execute()
  expect(rows.filter(({ state, lease_owner }) => state !== 'succeeded' || lease_owner !== null)).toEqual([])
  const effects = await database.read.selectFrom('revisions').selectAll().where('scope', 'like', 'effect %').execute()
  const expected = ids.map((id) => ({ scope: `effect ${id}`, value: 1 }))
  expect(effects.toSorted(byScope)).toEqual(expected.toSorted(byScope))
}

function byScope(a: { readonly scope: string }, b: { readonly scope: string }): number {
  return a.scope < b.scope ? -1 : 1
}
