import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { openSqlite, type SqliteConnection, SqliteFailure, type SqliteParameters } from '../../src/runtime/sqlite.ts'
import { SqliteThreadGone } from '../../src/runtime/sqlite-thread.ts'
import { WriteQueue, type WriteChannel } from '../../src/storage/write-queue.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { runs } from '../../src/testing/sizes.ts'

/** A connection as the thread has it; `dies` says before which message it ends, with what was not committed. */
function channelTo(
  connection: SqliteConnection,
  { dies, pause }: { dies: () => boolean; pause: () => boolean },
): WriteChannel & { gone: boolean } {
  const channel = {
    gone: false,
    async execute(sql: string, parameters: SqliteParameters, options?: { inside?: boolean }) {
      if (pause()) await new Promise((resolve) => setImmediate(resolve))
      if (channel.gone) throw new SqliteThreadGone(new Error('dead'))
      if (dies()) {
        channel.gone = true
        if (connection.inTransaction) connection.execute('ROLLBACK', [])
        throw new SqliteThreadGone(new Error('died'))
      }
      try {
        if (options?.inside && !connection.inTransaction) throw new SqliteFailure('the transaction has ended', 'SQLITE_ABORT')
        return { ...connection.execute(sql, parameters), inTransaction: connection.inTransaction }
      } catch (error) {
        throw Object.assign(error as Error, { inTransaction: connection.inTransaction })
      }
    },
  }
  return channel
}

/** What one transaction does: rows, and how it ends. `isEach`: it is one statement, run for each row. */
interface Planned {
  readonly isEach: boolean
  readonly rows: number
  readonly ending: string
  readonly starts: number
  readonly waits: boolean
}

const planned: fc.Arbitrary<Planned> = fc.record({
  isEach: fc.boolean(),
  rows: fc.integer({ min: 1, max: 4 }),
  ending: fc.constantFrom('commits', 'commits', 'commits', 'gives up', 'breaks a constraint', 'fills the disk'),
  starts: fc.integer({ min: 0, max: 5 }),
  waits: fc.boolean(),
})

const sleepTurns = async (turns: number): Promise<void> => {
  for (let n = 0; n < turns; n++) await new Promise((resolve) => setImmediate(resolve))
}

/** Rows of which the last one fails where the plan says so. */
function valuesOf(id: number, { rows, ending }: Planned): unknown[][] {
  const good = Array.from({ length: rows }, (_, row) => [id, row, 0])
  if (ending === 'commits') return good
  return [...good, ending === 'fills the disk' ? [id, 99, 1_000_000] : [id, 0, 0]]
}

async function runOne(queue: WriteQueue, id: number, plan: Planned): Promise<void> {
  await sleepTurns(plan.starts)
  const session = await queue.acquire()
  try {
    if (plan.isEach) {
      await session.executeEach?.('INSERT INTO t VALUES (?, ?, zeroblob(?))', JSON.stringify(valuesOf(id, plan)))
      return
    }
    await session.begin('serializable')
    try {
      for (let row = 0; row < plan.rows; row++) {
        await session.execute('INSERT INTO t VALUES (?, ?, ?)', [id, row, null])
        if (plan.waits) await sleepTurns(1)
      }
      if (plan.ending === 'gives up') throw new Error('gives up')
      if (plan.ending === 'breaks a constraint') await session.execute('INSERT INTO t VALUES (?, ?, ?)', [id, 0, null])
      if (plan.ending === 'fills the disk') await session.execute('INSERT INTO t VALUES (?, ?, zeroblob(1000000))', [id, 99])
      await session.commit()
    } catch (error) {
      await session.rollback()
      throw error
    }
  } finally {
    session.release()
  }
}

describe('the queue of those that write', () => {
  test('[STO-10] whatever transactions do, and whenever the thread dies: acknowledged ones are there, whole, and nothing hangs', async () => {
    let commits = 0
    let transactions = 0
    let deaths = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(planned, { minLength: 1, maxLength: 12 }),
        fc.array(fc.integer({ min: 5, max: 60 }), { maxLength: 2 }),
        fc.infiniteStream(fc.boolean()),
        async (plans, dying, pauses) => {
          const connection = await openSqlite(':memory:', { mode: 'write', busyTimeout: 0 })
          connection.execute('CREATE TABLE t (id INTEGER, n INTEGER, x BLOB, PRIMARY KEY (id, n)) STRICT', [])
          connection.execute('PRAGMA max_page_count = 20', [])
          let messages = 0
          const dies = () => {
            const now = dying.includes(++messages)
            if (now) deaths++
            return now
          }
          let channel = channelTo(connection, { dies, pause: () => pauses.next().value ?? false })
          const queue = new WriteQueue(() => {
            if (channel.gone) channel = channelTo(connection, { dies, pause: () => false })
            return Promise.resolve(channel)
          })
          const outcomes = await Promise.allSettled(plans.map((plan, id) => runOne(queue, id, plan)))
          expect(connection.inTransaction).toBe(false)
          const rows = connection.execute('SELECT id, count(*) AS n FROM t GROUP BY id', []).rows
          const found = new Map(rows.map(({ id, n }) => [Number(id), Number(n)]))
          for (const [id, plan] of plans.entries()) {
            const { status } = outcomes[id]!
            if (status === 'fulfilled') expect(found.get(id)).toBe(plan.rows)
            else expect(found.has(id)).toBe(false)
            if (plan.ending !== 'commits') expect(status).toBe('rejected')
            else if (dying.length === 0 && !plans.some(({ ending }) => ending === 'fills the disk')) expect(status).toBe('fulfilled')
          }
          // And it goes on.
          await runOne(queue, 1000, { isEach: false, rows: 1, ending: 'commits', starts: 0, waits: false }).catch((error: unknown) => {
            expect(error).toBeInstanceOf(SqliteThreadGone)
          })
          commits += queue.commits
          transactions += plans.filter(({ ending }) => ending === 'commits').length
          await queue.close(1000)
          connection.close()
        },
      ),
      { numRuns: runs(500) },
    )
    // The cases that the property is about did happen.
    expect(deaths).toBeGreaterThan(runs(500) / 10)
    expect(transactions).toBeGreaterThan(runs(500))
    expect(commits).toBeGreaterThan(runs(500) / 5)
  }, 60_000)

  test('those that wait together share a commit', async () => {
    const connection = await openSqlite(':memory:', { mode: 'write', busyTimeout: 0 })
    connection.execute('CREATE TABLE t (id INTEGER, n INTEGER, x BLOB) STRICT', [])
    const channel = channelTo(connection, { dies: () => false, pause: () => true })
    const queue = new WriteQueue(() => Promise.resolve(channel))
    await Promise.all(
      Array.from({ length: 40 }, (_, id) => runOne(queue, id, { isEach: false, rows: 1, ending: 'commits', starts: 0, waits: false })),
    )
    expect(connection.execute('SELECT count(*) AS n FROM t', []).rows).toEqual([{ n: 40 }])
    expect(queue.commits).toBeLessThan(20)
    connection.close()
  })

  test('closing refuses those that wait', async () => {
    const connection = await openSqlite(':memory:', { mode: 'write', busyTimeout: 0 })
    const channel = channelTo(connection, { dies: () => false, pause: () => false })
    const queue = new WriteQueue(() => Promise.resolve(channel))
    const session = await queue.acquire()
    const waiting = queue.acquire()
    const closed = queue.close(60_000)
    expect(await failureOf(waiting)).toMatchObject({ status: 503 })
    expect(await failureOf(queue.acquire())).toMatchObject({ status: 503 })
    session.release()
    await closed
    connection.close()
  })
})
