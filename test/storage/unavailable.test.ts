import { describe, expect, test } from 'bun:test'
import { chmod, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { PostgresBackend, StorageConfig } from '../../src/storage/config.ts'
import { DatabaseGate } from '../../src/storage/gate.ts'
import { createStorage } from '../../src/storage/storage.ts'
import { openDatabase, openStorage } from '../../src/storage/open.ts'
import { bumpRevision } from '../../src/storage/revisions.ts'
import { createSnapshot } from '../../src/storage/snapshot.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { until } from './processes.ts'
import { proxyTo } from './proxy.ts'

/** What was reported about the database. */
function recorded() {
  const reported: string[] = []
  let down = false
  return {
    reported,
    events: {
      dependencyFailed(name: string) {
        if (!down) reported.push(`${name} failed`)
        down = true
      },
      dependencyRecovered(name: string) {
        reported.push(`${name} back`)
        down = false
      },
      warning: (message: string) => void reported.push(message),
    },
  }
}

const config = (records: StorageConfig['records'], recordsConfigured = true): StorageConfig => ({
  backends: { same: records, cache: { engine: 'redis', host: 'cache', port: 6379 } },
  records,
  recordsConfigured,
})

const postgres = engines.find(({ name }) => name === 'postgres')

/** PostgreSQL behind a proxy. */
async function behindProxy() {
  const place = await postgres!.fresh()
  const backend = place.backend as PostgresBackend
  const proxy = await proxyTo(backend)
  return {
    proxy,
    /** Past the proxy. */
    direct: backend,
    backend: { ...backend, host: '127.0.0.1', port: proxy.port } satisfies PostgresBackend,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await place[Symbol.asyncDispose]()
    },
  }
}

const unavailable = { name: 'ApiError', status: 503, type: 'service_unavailable_error', headers: { 'retry-after': '5' } }

if (postgres) {
  describe('PostgreSQL', () => {
    test('[STO-19] an unavailable database is a 503 with Retry-After, logged once, and it recovers by itself', async () => {
      await using place = await behindProxy()
      const { reported, events } = recorded()
      await using database = await openDatabase(place.backend, { events })
      const write = () => database.write((transaction) => bumpRevision(transaction, 'a'))
      const read = () => database.read.selectFrom('revisions').selectAll().execute()
      await write()
      for (let round = 1; round <= 2; round++) {
        await place.proxy.cut()
        for (let n = 0; n < 5; n++) {
          expect(await failureOf(write())).toMatchObject(unavailable)
          expect(await failureOf(read())).toMatchObject(unavailable)
        }
        await place.proxy.restore()
        await write()
        expect(await read()).toEqual([{ scope: 'a', value: round + 1 }])
      }
      expect(reported).toEqual(['database failed', 'database back', 'database failed', 'database back'])
    }, 30_000)

    test('[STO-19] connections that died in the pool are not held against the next caller', async () => {
      await using place = await behindProxy()
      await using database = await openDatabase(place.backend)
      const read = () => database.read.selectFrom('revisions').selectAll().execute()
      await Promise.all(Array.from({ length: 5 }, read))
      await place.proxy.cut()
      await place.proxy.restore()
      await Promise.all(Array.from({ length: 5 }, read))
      await Promise.all(Array.from({ length: 5 }, () => database.write((transaction) => bumpRevision(transaction, 'a'))))
    })

    test('[STO-19] a server that goes on without a word is a 503 too', async () => {
      await using place = await behindProxy()
      await using database = await openDatabase(place.backend, { timeouts: { statement: 200 } })
      const read = () => database.read.selectFrom('revisions').selectAll().execute()
      await read()
      place.proxy.block()
      expect(await failureOf(read())).toMatchObject(unavailable)
      await place.proxy.restore()
      expect(await read()).toEqual([])
    })

    test('[STO-19] sessions that the server ends are replaced', async () => {
      await using place = await postgres.fresh()
      await using database = await openDatabase(place.backend)
      await using other = await openDatabase(place.backend)
      const pidOf = sql<{ pid: number }>`select pg_backend_pid() as pid, pg_sleep(0.1)`
      const pids = await Promise.all(
        Array.from({ length: 5 }, () => database.write(async (transaction) => (await pidOf.execute(transaction)).rows[0]?.pid ?? 0)),
      )
      expect(new Set(pids).size).toBe(5)
      await other.write(async (transaction) => {
        for (const pid of pids) await sql`select pg_terminate_backend(${pid})`.execute(transaction)
      })
      await Promise.all(pids.map(() => database.write((transaction) => bumpRevision(transaction, 'a'))))
      // In the middle of a transaction nothing can be done again.
      const inside = Promise.withResolvers<number>()
      const ended = Promise.withResolvers<void>()
      const writing = database.write(async (transaction) => {
        inside.resolve((await pidOf.execute(transaction)).rows[0]?.pid ?? 0)
        await ended.promise
        await bumpRevision(transaction, 'b')
      })
      const pid = await inside.promise
      await other.write((transaction) => sql`select pg_terminate_backend(${pid})`.execute(transaction))
      ended.resolve()
      expect(await failureOf(writing)).toMatchObject(unavailable)
      expect(await database.read.selectFrom('revisions').selectAll().execute()).toEqual([{ scope: 'a', value: 5 }])
    })

    test('[STO-20] a server starts without it, and its tables are made when it is there', async () => {
      await using place = await behindProxy()
      await place.proxy.cut()
      const { reported, events } = recorded()
      await using storage = await openStorage(config(place.backend), { events })
      using snapshot = createSnapshot({
        database: storage.records,
        scope: 'a',
        load: (read) => read.selectFrom('revisions').selectAll().execute(),
      })
      expect(await failureOf(storage.records.read.selectFrom('revisions').selectAll().execute())).toMatchObject(unavailable)
      await snapshot.ready
      expect(() => snapshot.current()).toThrow('not loaded')
      await place.proxy.restore()
      await until(() => reported.includes('database back'))
      await storage.records.write((transaction) => bumpRevision(transaction, 'a'))
      await until(() => {
        try {
          return snapshot.current().length === 1
        } catch {
          return false
        }
      })
    }, 30_000)

    test('[STO-20] it is opened once it is back, also without requests', async () => {
      await using place = await behindProxy()
      await place.proxy.cut()
      const { reported, events } = recorded()
      await using storage = await openStorage(config(place.backend), { events })
      expect([storage.records.engine, ...reported]).toEqual(['postgres', 'database failed'])
      await place.proxy.restore()
      await until(() => reported.includes('database back'))
      await using direct = await openDatabase(place.direct, { migrations: [] }).catch(() => undefined)
      expect(direct).toBeUndefined()
    })

    test('[STO-19] watchers learn of what changed while it was out of reach', async () => {
      await using place = await behindProxy()
      await using direct = await openDatabase(place.direct)
      await using database = await openDatabase(place.backend)
      using snapshot = createSnapshot({
        database,
        scope: 'a',
        load: async (read) => (await read.selectFrom('revisions').select('value').where('scope', '=', 'a').executeTakeFirst())?.value,
      })
      await snapshot.ready
      await place.proxy.cut()
      await direct.write((transaction) => bumpRevision(transaction, 'a'))
      await place.proxy.restore()
      await until(() => snapshot.current() === 1)
      // And by notification again after it.
      await direct.write((transaction) => bumpRevision(transaction, 'a'))
      await until(() => snapshot.current() === 2)
    }, 30_000)

    test('[STO-17] connections that stand still keep no change from being seen within seconds', async () => {
      await using place = await behindProxy()
      await using direct = await openDatabase(place.direct)
      // A query on a stalled connection of the pool waits for longer than the test.
      await using database = await openDatabase(place.backend, { timeouts: { statement: 3_600_000 } })
      let looked = 0
      using watching = database.watch('b', { onChange: () => undefined, onError: () => undefined, onPolled: () => void looked++ })
      using snapshot = createSnapshot({
        database,
        scope: 'a',
        load: async (read) => (await read.selectFrom('revisions').select('value').where('scope', '=', 'a').executeTakeFirst())?.value,
      })
      await snapshot.ready
      // Notifications are heard, and the pool has connections, all of which stand still at once.
      await direct.write((transaction) => bumpRevision(transaction, 'a'))
      await until(() => snapshot.current() === 1)
      await Promise.all(Array.from({ length: 5 }, () => sql`select pg_sleep(0.05)`.execute(database.read as never)))
      for (let value = 2; value <= 4; value++) {
        place.proxy.freeze()
        await direct.write((transaction) => bumpRevision(transaction, 'a'))
        await until(() => snapshot.current() === value)
      }
      expect([watching, looked > 0]).toEqual([watching, true])
    }, 60_000)

    test('[STO-20] a wrong password, and a database that is not there, are 503, without the password in the message', async () => {
      await using place = await postgres.fresh()
      const backend = place.backend as PostgresBackend
      const secret = backend.password?.reveal() ?? ''
      for (const wrong of [{ user: 'nobody' }, { database: 'nowhere' }]) {
        const error = await failureOf(openDatabase({ ...backend, ...wrong }))
        expect(error).toMatchObject(unavailable)
        expect(Bun.inspect(error)).not.toContain(secret)
      }
    })
  })
}

describe('SQLite', () => {
  test('[STO-20] a configured file that cannot be opened is a start error', async () => {
    const records = { engine: 'sqlite', path: '/proc/corral/corral.db' } as const
    expect(await failureOf(openStorage(config(records)))).toMatchObject({ name: 'StorageError' })
  })

  test('[STO-20] the default file that cannot be opened is a warning, and what needs it a 503', async () => {
    const { reported, events } = recorded()
    await using storage = await openStorage(config({ engine: 'sqlite', path: '/proc/corral/corral.db' }, false), { events })
    await until(() => reported.length > 0)
    expect(reported[0]).toStartWith('The database file /proc/corral/corral.db cannot be opened (')
    expect(reported[0]).toContain('fail with 503')
    expect(await failureOf(storage.records.read.selectFrom('revisions').selectAll().execute())).toMatchObject(unavailable)
    expect(await failureOf(storage.records.write((transaction) => bumpRevision(transaction, 'a')))).toMatchObject(unavailable)
  })

  test('[STO-19] reading that works does not say that writing does again', async () => {
    const { reported, events } = recorded()
    const gate = new DatabaseGate({ open: () => Promise.resolve(), events })
    await gate.open()
    gate.reportFailure(new Error('read-only'), 'writing')
    gate.reportSuccess('reading')
    expect(reported).toEqual(['database failed'])
    gate.reportSuccess('writing')
    expect(reported).toEqual(['database failed', 'database back'])
  })

  test.skipIf(process.getuid?.() === 0)('[STO-20] a configured file that is read-only is warned of at start', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'corral-storage-'))
    try {
      const records = { engine: 'sqlite', path: join(folder, 'x.db') } as const
      await (await openDatabase(records))[Symbol.asyncDispose]()
      await chmod(records.path, 0o400)
      const { reported, events } = recorded()
      await using storage = await openStorage(config(records), { events })
      expect([storage.records.place, reported.join()]).toEqual([records.path, expect.stringContaining('read-only (EACCES)')])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test('[STO-19] a deleted file is reported once as unavailable until a file exists again, which is opened and migrated', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'corral-storage-'))
    try {
      const path = join(folder, 'x.db')
      const { reported, events } = recorded()
      await using database = await openDatabase({ engine: 'sqlite', path }, { events, timeouts: { pollInterval: 50 } })
      using snapshot = createSnapshot({
        database,
        scope: 'a',
        load: async (read) => (await read.selectFrom('revisions').select('value').where('scope', '=', 'a').executeTakeFirst())?.value ?? 0,
      })
      const write = () => database.write((transaction) => bumpRevision(transaction, 'a'))
      await write()
      await until(() => snapshot.current() === 1)
      await database.write((transaction) => bumpRevision(transaction, 'a'))
      await until(() => snapshot.current() === 2)
      for (const name of ['x.db', 'x.db-wal', 'x.db-shm']) await rm(join(folder, name), { force: true })
      await until(() => reported.length > 0)
      // No empty file is made in its place, whatever is asked.
      for (let n = 0; n < 3; n++) {
        expect(await failureOf(write())).toMatchObject(unavailable)
        expect(await failureOf(database.read.selectFrom('revisions').selectAll().execute())).toMatchObject(unavailable)
      }
      expect(await readdir(folder)).toEqual([])
      expect(snapshot.current()).toBe(2)
      // An older version's, without any table.
      await writeFile(path, '')
      await until(() => reported.includes('database back'))
      await until(() => snapshot.current() === 0)
      await write()
      await until(() => snapshot.current() === 1)
      // One that is put in its place is taken over without a pause in between.
      await using other = await openDatabase({ engine: 'sqlite', path: join(folder, 'other.db') })
      for (let n = 0; n < 7; n++) await other.write((transaction) => bumpRevision(transaction, 'a'))
      await other[Symbol.asyncDispose]()
      for (const name of ['x.db-wal', 'x.db-shm']) await rm(join(folder, name), { force: true })
      await rename(join(folder, 'other.db'), path)
      await until(() => snapshot.current() === 7)
      await write()
      await until(() => snapshot.current() === 8)
      expect(reported).toEqual(['database failed', 'database back', 'database failed', 'database back'])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test('[STO-20] two names of one file are one database', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'corral-storage-'))
    try {
      await using storage = createStorage(config({ engine: 'sqlite', path: join(folder, 'x.db') }))
      const records = await storage.records.open()
      expect(await storage.open({ engine: 'sqlite', path: join(folder, 'x.db') })).toBe(records)
      const other = await storage.open({ engine: 'sqlite', path: join(folder, 'other.db') })
      expect(other).not.toBe(records)
      await other.write((transaction) => bumpRevision(transaction, 'a'))
      expect(await failureOf(storage.open({ engine: 'sqlite', path: folder }))).toMatchObject({ name: 'StorageError' })
      expect(storage.backend('cache')).toMatchObject({ engine: 'redis' })
      for (const name of ['nothing', '__proto__', 'toString']) expect(storage.backend(name)).toBeUndefined()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
