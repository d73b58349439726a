import { Database as BunSqlite } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { openSqlite } from '../../src/runtime/sqlite.ts'
import { startSqliteThread } from '../../src/runtime/sqlite-thread.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { otherProcess, until } from './processes.ts'

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'corral-durability-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

for (const engine of engines) {
  describe(engine.name, () => {
    test.each(['write', 'add'])(
      '[STO-6] what was acknowledged is there after kill -9, each transaction whole: %s',
      async (what) => {
        await using place = await engine.fresh()
        for (let round = 0; round < 3; round++) {
          await using writer = otherProcess(what, place.backend)
          await writer.said(300)
          await writer.kill()
          await using database = await openDatabase(place.backend)
          const rows = await database.read.selectFrom('revisions').select('scope').execute()
          const there = new Set(rows.map(({ scope }) => scope))
          const acknowledged = writer.lines.slice(1)
          expect(acknowledged.filter((id) => !there.has(`${id} first`))).toEqual([])
          expect([...there].filter((scope) => !there.has(scope.replace('first', 'second')))).toEqual([])
        }
        if (place.backend.engine !== 'sqlite') return
        using file = new BunSqlite(place.backend.path)
        expect(file.query('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
      },
      60_000,
    )

    test('[STO-7] several processes write one database at once, and nothing is lost', async () => {
      await using place = await engine.fresh()
      const all = Array.from({ length: 4 }, () => otherProcess('count', place.backend))
      for (const one of all) expect(await one.exited).toEqual({ code: 0, stderr: '' })
      await using database = await openDatabase(place.backend)
      expect(await database.read.selectFrom('revisions').selectAll().execute()).toEqual([{ scope: 'count', value: 400 }])
    }, 60_000)

    test('[STO-7] a lock of another process is waited for', async () => {
      await using place = await engine.fresh()
      await using database = await openDatabase(place.backend)
      await using holder = otherProcess('hold', place.backend)
      await holder.said(2)
      await database.write((transaction) =>
        transaction
          .insertInto('revisions')
          .values({ scope: 'held', value: 1 })
          .onConflict((conflict) => conflict.column('scope').doUpdateSet({ value: 10 }))
          .execute(),
      )
      expect(await database.read.selectFrom('revisions').selectAll().execute()).toEqual([{ scope: 'held', value: 10 }])
      expect(await holder.exited).toEqual({ code: 0, stderr: '' })
    }, 30_000)

    test('a process that has closed its database ends by itself', async () => {
      await using place = await engine.fresh()
      await using other = otherProcess('bump', place.backend)
      expect(await other.exited).toEqual({ code: 0, stderr: '' })
      expect(other.lines).toEqual(['open', 'closed'])
    })
  })
}

async function mode(name: string): Promise<string> {
  return ((await stat(name)).mode & 0o777).toString(8)
}

describe('a SQLite file', () => {
  test('[STO-6] commits reach the disk before they are acknowledged: write-ahead log, synchronous=FULL, foreign keys', async () => {
    await using place = await folder()
    const path = join(place.path, 'x.db')
    const connection = await openSqlite(path, { mode: 'write', busyTimeout: 100 })
    const setting = (name: string) => Object.values(connection.execute(`PRAGMA ${name}`, []).rows[0] ?? {})[0]
    // 2: FULL (https://sqlite.org/pragma.html#pragma_synchronous)
    expect([setting('journal_mode'), setting('synchronous'), setting('foreign_keys')]).toEqual(['wal', 2, 1])
    connection.close()
  })

  test('[STO-13] folders and files are their owner’s alone, the log beside them too', async () => {
    await using place = await folder()
    const path = join(place.path, 'a', 'b', 'corral.db')
    await using database = await openDatabase({ engine: 'sqlite', path })
    await database.write((transaction) => transaction.insertInto('revisions').values({ scope: 'a', value: 1 }).execute())
    expect([await mode(dirname(path)), await mode(dirname(dirname(path)))]).toEqual(['700', '700'])
    const files = await readdir(dirname(path))
    expect(files.toSorted()).toEqual(['corral.db', 'corral.db-shm', 'corral.db-wal'])
    for (const name of files) expect(await mode(join(dirname(path), name))).toBe('600')
  })

  test('[STO-6] a thread that ends refuses what it has not done, keeps what it has, and the next one goes on', async () => {
    await using place = await folder()
    const path = join(place.path, 'x.db')
    const thread = await startSqliteThread(path, { busyTimeout: 100 })
    await thread.execute('CREATE TABLE t (a) STRICT'.replace('(a)', '(a INTEGER)'), [])
    await thread.execute('INSERT INTO t VALUES (1)', [])
    const cut = Array.from({ length: 50 }, () => thread.execute('INSERT INTO t VALUES (2)', []))
    const ended = thread.terminate()
    const outcomes = await Promise.allSettled(cut)
    await ended
    expect(thread.gone).toBe(true)
    expect(await failureOf(thread.execute('SELECT 1', []))).toMatchObject({ name: 'SqliteThreadGone' })
    const next = await startSqliteThread(path, { busyTimeout: 100 })
    const { rows } = await next.execute('SELECT a, count(*) AS n FROM t GROUP BY a ORDER BY a', [])
    const done = outcomes.filter(({ status }) => status === 'fulfilled').length
    expect(rows[0]).toEqual({ a: 1, n: 1 })
    expect(Number(rows[1]?.['n'] ?? 0)).toBeGreaterThanOrEqual(done)
    await next.close()
  })

  test('statements of a transaction that is over are refused by the thread, lest they commit by themselves', async () => {
    await using place = await folder()
    const thread = await startSqliteThread(join(place.path, 'x.db'), { busyTimeout: 100 })
    await thread.execute('CREATE TABLE t (a INTEGER) STRICT', [])
    expect(await failureOf(thread.execute('INSERT INTO t VALUES (1)', [], { inside: true }))).toMatchObject({ code: 'SQLITE_ABORT' })
    expect((await thread.execute('SELECT * FROM t', [])).rows).toEqual([])
    expect(await failureOf(thread.execute('SELECT 1', [() => 1]))).toBeInstanceOf(Error)
    await thread.close()
  })

  test('what is no database, no file, and not to be opened says so', async () => {
    await using place = await folder()
    const text = join(place.path, 'notes.txt')
    await Bun.write(text, 'this is no database, however long it may be. '.repeat(100))
    expect(await failureOf(openDatabase({ engine: 'sqlite', path: text }))).toMatchObject({
      name: 'StorageError',
      message: `The file ${text} is not a SQLite database.`,
    })
    expect(await Bun.file(text).text()).toStartWith('this is no database')
    for (const path of [place.path, join(text, 'x.db'), '/proc/corral/x.db']) {
      expect(await failureOf(openDatabase({ engine: 'sqlite', path }))).toMatchObject({
        name: 'StorageError',
        message: expect.stringContaining(`The database file ${path} cannot be opened (`) as string,
        remedy: expect.stringContaining('db_path') as string,
      })
    }
  })
})

describe('in memory', () => {
  test('a transaction that waits for something else than its statements is rolled back, and does not block the rest', async () => {
    await using database = await openDatabase({ engine: 'sqlite', path: ':memory:' }, { timeouts: { idleTransaction: 100 } })
    const stuck = database.write(async (transaction) => {
      await transaction.insertInto('revisions').values({ scope: 'stuck', value: 1 }).execute()
      // In memory there is one connection: this waits for its own transaction.
      await database.read.selectFrom('revisions').selectAll().execute()
      return await transaction.selectFrom('revisions').selectAll().execute()
    })
    expect(await failureOf(stuck)).toMatchObject({ message: 'this transaction has ended' })
    expect(await database.read.selectFrom('revisions').selectAll().execute()).toEqual([])
  }, 30_000)

  test('two are apart', async () => {
    await using one = await openDatabase({ engine: 'sqlite', path: ':memory:' })
    await using two = await openDatabase({ engine: 'sqlite', path: ':memory:' })
    await one.write((transaction) => transaction.insertInto('revisions').values({ scope: 'a', value: 1 }).execute())
    expect(await two.read.selectFrom('revisions').selectAll().execute()).toEqual([])
    await until(async () => (await one.read.selectFrom('revisions').selectAll().execute()).length === 1)
  })
})
