import { describe, expect, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { PostgresBackend, SqliteBackend } from '../../src/storage/config.ts'
import { pgDumpCommand } from '../../src/storage/backup.ts'
import type { DatabaseStatus } from '../../src/storage/inspect.ts'
import { migrations } from '../../src/storage/migrations/index.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { bumpRevision } from '../../src/storage/revisions.ts'
import { Secret } from '../../src/secret.ts'
import { engines } from '../../src/testing/engines.ts'
import { inProcess, temporaryFolder } from '../cli/corral.ts'
import { otherProcess } from './processes.ts'

/** A configuration whose records lie in this database. */
function fileWith(folder: string, backend: SqliteBackend | PostgresBackend): string {
  const place =
    backend.engine === 'sqlite'
      ? { type: 'kv_sqlite', db_path: backend.path }
      : {
          type: 'kv_postgres',
          host: backend.host,
          port: backend.port,
          db: backend.database,
          user: backend.user,
          password: backend.password?.reveal(),
          schema: backend.schema,
        }
  const path = join(folder, 'run.yaml')
  const storage = { backends: { records: place }, stores: { metadata: { backend: 'records' } } }
  writeFileSync(path, JSON.stringify({ version: 2, providers: {}, storage }))
  return path
}

/** Whether there is the file, or the schema. */
async function isMade(backend: SqliteBackend | PostgresBackend): Promise<boolean> {
  if (backend.engine === 'sqlite') return existsSync(backend.path)
  await using whole = await openDatabase({ ...backend, schema: undefined }, { migrations: [] })
  const found = sql`select 1 from pg_catalog.pg_namespace where nspname = ${backend.schema}`
  return (await whole.write((transaction) => found.execute(transaction))).rows.length > 0
}

const all = migrations.map(({ number, name }) => `${String(number).padStart(4, '0')}-${name}`)

for (const engine of engines) {
  describe(engine.name, () => {
    test('[STO-22] status looks without changing anything, migrate brings up to date, and both say so', async () => {
      using folder = temporaryFolder()
      await using place = await engine.fresh()
      const config = fileWith(folder.path, place.backend)
      const status = async () => {
        const { code, stdout } = await inProcess(['storage', 'status', '--config', config, '--json'])
        expect(code).toBe(0)
        return JSON.parse(stdout) as DatabaseStatus
      }
      const migrate = async () => inProcess(['storage', 'migrate', '--config', config])
      const nothing = { engine: engine.name, version: 0, newest: migrations.length, pending: all, tables: [], size: 0 }
      expect(await status()).toMatchObject(nothing)
      expect(await isMade(place.backend)).toBe(false)
      {
        await using older = await openDatabase(place.backend, { migrations: migrations.slice(0, 2) })
        await older.write((transaction) => bumpRevision(transaction, 'a'))
      }
      expect(await status()).toMatchObject({
        version: 2,
        pending: all.slice(2),
        tables: [
          { name: 'revisions', rows: 1 },
          { name: 'models', rows: 0 },
        ],
      })
      const migrated = await migrate()
      expect(migrated).toMatchObject({ code: 0, stderr: expect.not.stringContaining('error') as string })
      expect(migrated.stdout).toEndWith(` migrated to version ${migrations.length}: ${all.slice(2).join(', ')}.\n`)
      expect((await migrate()).stdout).toEndWith(` is up to date: version ${migrations.length}.\n`)
      const after = await status()
      expect(after).toMatchObject({ version: migrations.length, pending: [] })
      expect(after.size).toBeGreaterThan(1000)
      const text = await inProcess(['storage', 'status', '-c', config])
      expect(text.stdout).toContain(`location  ${after.place}\n`)
      expect(text.stdout).toMatch(/\nrevisions +1\n/)
      {
        // As a newer version would have left it.
        await using database = await openDatabase(place.backend)
        await database.write((transaction) =>
          sql`insert into corral_migrations (number, name, applied_at) values (${migrations.length + 1}, 'newer', 1)`.execute(transaction),
        )
      }
      const newer = await inProcess(['storage', 'status', '-c', config])
      expect(newer).toMatchObject({ code: 1, stderr: expect.stringContaining('newer than this program') as string })
      expect(newer.stdout).not.toMatch(/^pending +none$/m)
      expect(await inProcess(['storage', 'status', '-c', config, '--json'])).toMatchObject({ code: 1 })
      if (place.backend.engine === 'postgres') expect(text.stdout + JSON.stringify(after)).not.toContain(place.backend.password?.reveal())
    })
  })
}

describe('backup', () => {
  test('[STO-23] of a SQLite file that is being written: whole, of one moment, its owner’s alone', async () => {
    using folder = temporaryFolder()
    const backend = { engine: 'sqlite', path: join(folder.path, 'corral.db') } as const
    const config = fileWith(folder.path, backend)
    await using writer = otherProcess('write', backend)
    await writer.said(100)
    const acknowledged = writer.lines.slice(1)
    const copy = join(folder.path, 'copy.db')
    expect(await inProcess(['storage', 'backup', copy, '--config', config])).toMatchObject({ code: 0 })
    await writer.said(acknowledged.length + 100)
    await writer.kill()
    expect((statSync(copy).mode & 0o777).toString(8)).toBe('600')
    expect(readdirSync(folder.path).filter((name) => name.includes('copy'))).toEqual(['copy.db'])
    await using restored = await openDatabase({ engine: 'sqlite', path: copy })
    const rows = await restored.read.selectFrom('revisions').select('scope').execute()
    const there = new Set(rows.map(({ scope }) => scope))
    expect(acknowledged.filter((id) => !there.has(`${id} first`))).toEqual([])
    expect([...there].filter((scope) => !there.has(scope.replace('first', 'second')))).toEqual([])
  }, 30_000)

  test('[STO-23] replaces nothing without --force, and leaves no partial file', async () => {
    using folder = temporaryFolder()
    const config = fileWith(folder.path, { engine: 'sqlite', path: join(folder.path, 'corral.db') })
    const copy = join(folder.path, 'copy.db')
    const backup = (...more: string[]) => inProcess(['storage', 'backup', copy, '--config', config, ...more])
    expect((await backup()).stderr).toStartWith(`error: There is no database at ${join(folder.path, 'corral.db')} yet.`)
    await inProcess(['storage', 'migrate', '--config', config])
    writeFileSync(copy, 'mine')
    expect(await backup()).toMatchObject({ code: 1, stdout: '' })
    expect(readFileSync(copy, 'utf8')).toBe('mine')
    expect(await backup('--force')).toMatchObject({ code: 0 })
    expect(readFileSync(copy, 'latin1')).toStartWith('SQLite format 3')
    const absent = join(folder.path, 'absent', 'copy.db')
    const nowhere = await inProcess(['storage', 'backup', absent, '--config', config])
    expect(nowhere).toMatchObject({ code: 1 })
    expect(nowhere.stderr).toStartWith(`error: The database ${join(folder.path, 'corral.db')} could not be copied to ${absent} (ENOENT).`)
    writeFileSync(join(folder.path, 'corral.db'), 'no database')
    expect(await backup('--force')).toMatchObject({ code: 1 })
    expect(readFileSync(copy, 'latin1')).toStartWith('SQLite format 3')
    expect(readdirSync(folder.path).filter((name) => name.includes('part'))).toEqual([])
  })

  test('[STO-23] of PostgreSQL: the command to run, without the password, and a failure', async () => {
    using folder = temporaryFolder()
    const backend: PostgresBackend = {
      engine: 'postgres',
      host: 'db.example',
      port: 5432,
      database: "it's corral",
      user: 'corral',
      password: new Secret('hunter2-hunter2'),
      schema: 'gate',
      sslMode: 'verify-full',
      caCertPath: '/etc/ssl/my ca.pem',
      poolSize: 10,
    }
    const { code, stdout, stderr } = await inProcess(['storage', 'backup', 'out.dump', '--config', fileWith(folder.path, backend)], {
      cwd: folder.path,
    })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('pg_dump --format=custom --schema=gate')
    expect(stderr).not.toContain('hunter2')
    expect(pgDumpCommand(backend, '/backup/out.dump')).toBe(
      String.raw`pg_dump --format=custom --schema=gate --file=/backup/out.dump 'host=db.example port=5432 dbname='\''it\'\''s corral'\'' user=corral sslmode=verify-full sslrootcert='\''/etc/ssl/my ca.pem'\'''`,
    )
  })

  test('a database out of reach is an error with its cause', async () => {
    using folder = temporaryFolder()
    const config = fileWith(folder.path, { engine: 'postgres', host: '127.0.0.1', port: 1, poolSize: 1 })
    for (const command of ['status', 'migrate']) {
      const { code, stderr } = await inProcess(['storage', command, '--config', config])
      expect(code).toBe(1)
      expect(stderr).toMatch(/^error: The database is unavailable \(.*\)\.\n$/)
    }
  })
})
