import { describe, expect, test } from 'bun:test'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { createServer, type TlsOptions } from 'node:tls'
import { sql } from 'kysely'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PostgresBackend } from '../../src/storage/config.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { makeCertificate } from '../../src/testing/certificates.ts'
import { engines, redis } from '../../src/testing/engines.ts'
import { freePort } from '../services/service.ts'
import { doctorOn, type Said } from './stage.ts'

const wrong = 'a-wrong-password'

/** What the doctor says of the database of the records. */
function ofRecords(settings: object, secrets: readonly string[] = []): Promise<Said> {
  const storage = { backends: { records: settings }, stores: { metadata: { backend: 'records' } } }
  return doctorOn({ storage, secrets }, 'database')
}

function ofPostgres(backend: PostgresBackend, over: object = {}): Promise<Said> {
  const { host, port, database: db, user, schema } = backend
  const password = backend.password?.reveal() ?? ''
  return ofRecords({ type: 'kv_postgres', host, port, db, user, password, schema, ...over }, [password, wrong])
}

/** The history of migrations as an earlier, or a later, program left it. */
const histories = {
  older: sql`delete from corral_migrations where number = (select max(number) from corral_migrations)`,
  newer: sql`insert into corral_migrations (number, name, applied_at) values (9999, 'of the future', 0)`,
}

for (const engine of engines) {
  describe(`the database on ${engine.name}`, () => {
    test('[OPS-1] does not exist, is up to date, behind, or a newer version’s', async () => {
      await using place = await engine.fresh()
      const { backend } = place
      const look = () => (backend.engine === 'sqlite' ? ofRecords({ type: 'kv_sqlite', db_path: backend.path }) : ofPostgres(backend))
      expect(await look()).toEqual(['ok', expect.stringContaining('does not exist yet; the server creates it') as string])
      await using database = await openDatabase(backend)
      expect(await look()).toEqual(['ok', expect.stringContaining('is reachable and up to date') as string])
      await database.write((transaction) => histories.older.execute(transaction))
      expect(await look()).toEqual([
        'warning',
        expect.stringMatching(/has pending migrations: \d{4}-[^]*Run `corral storage migrate`/) as string,
      ])
      await database.write((transaction) => histories.newer.execute(transaction))
      expect(await look()).toEqual([
        'failed',
        expect.stringMatching(/was written by a newer version of Corral[^]*Install that version/) as string,
      ])
    })
  })
}

const postgres = engines.find(({ name }) => name === 'postgres')
const caCertPath = process.env['CORRAL_TEST_POSTGRES_CA']

describe.skipIf(!postgres)('PostgreSQL', () => {
  const asHost = '127.0.0.2'
  test.each<readonly [string, () => Promise<object> | object, RegExp]>([
    ['a wrong password', () => ({ password: wrong }), /password authentication failed[^]*Correct `user` and `password`/],
    ['a user that is not there', () => ({ user: 'nobody' }), /"nobody"[^]*Correct `user` and `password`/],
    ['a database that is not there', () => ({ db: 'nowhere' }), /"nowhere" does not exist[^]*Create the database/],
    ['a port at which nothing listens', async () => ({ port: await freePort() }), /ECONNREFUSED[^]*Start PostgreSQL/],
    ['a host that is not there', () => ({ host: 'db.invalid' }), /db\.invalid[^]*correct `host` and `port`/],
    [
      'a certificate of an unknown authority',
      () => ({ ssl_mode: 'verify-full' }),
      /certificate[^]*Set `ca_cert_path` to the CA of its certificate/,
    ],
    [
      'a certificate for another host',
      () => ({ ssl_mode: 'verify-full', ca_cert_path: caCertPath, host: asHost }),
      /127\.0\.0\.2 is not in[^]*`host` to the name in it/,
    ],
    [
      'a certificate that cannot be read',
      () => ({ ssl_mode: 'verify-full', ca_cert_path: '/nowhere.pem' }),
      /cannot be read \(ENOENT\)[^]*readable PEM file/,
    ],
  ])('[OPS-1] %s', async (_, over, said) => {
    await using place = await postgres!.fresh()
    expect(await ofPostgres(place.backend as PostgresBackend, await over())).toEqual(['failed', expect.stringMatching(said) as string])
  })

  test('[OPS-1] with its certificate checked, all is well', async () => {
    await using place = await postgres!.fresh()
    const settings = { ssl_mode: 'verify-full', ca_cert_path: caCertPath }
    expect((await ofPostgres(place.backend as PostgresBackend, settings))[0]).toBe('ok')
  })
})

test('[OPS-1] a file that is no database of SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'corral-doctor-'))
  try {
    const path = join(folder, 'notes.txt')
    await writeFile(path, 'this is no database, and never was one. '.repeat(50))
    expect(await ofRecords({ type: 'kv_sqlite', db_path: path })).toEqual([
      'failed',
      expect.stringMatching(/is not a SQLite database[^]*Set `db_path` to another file/) as string,
    ])
  } finally {
    await rm(folder, { recursive: true })
  }
})

/** What the doctor says of counters in this Redis. */
function ofRedis(over: object): Promise<Said> {
  const counters = { type: 'kv_redis', host: '127.0.0.1', ...over }
  const server = { quota: { store: { backend: 'counters' }, limits: [{ requests: 5, period: 'day' }] } }
  return doctorOn({ server, storage: { backends: { counters } }, secrets: [wrong, 'the-right-password'] }, 'quota store')
}

interface Front extends AsyncDisposable {
  readonly port: number
}

/** Speaks TLS in front of a server that does not. */
async function tlsFront(target: { host: string; port: number }, certificate: TlsOptions): Promise<Front> {
  const sockets = new Set<Socket>()
  const server = createServer(certificate, (caller) => {
    const behind = connect(target.port, target.host)
    for (const socket of [caller, behind]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    caller.pipe(behind).pipe(caller)
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('[OPS-1] a Redis that is not there', async () => {
  const refused = await ofRedis({ port: await freePort() })
  expect(refused).toEqual(['failed', expect.stringMatching(/cannot connect\nStart Redis, or correct `host`/) as string])
  const nowhere = await ofRedis({ host: 'redis.invalid' })
  expect(nowhere).toEqual(['failed', expect.stringMatching(/redis\.invalid:6379: cannot connect/) as string])
})

describe.skipIf(!redis)('Redis', () => {
  const { host = '', port = 0 } = redis?.backend ?? {}

  test('[OPS-1] well, with and without a password; a wrong one; a user that may do nothing', async () => {
    const client = new Bun.RedisClient(redis?.url)
    const user = `doctor-${crypto.randomUUID()}`
    try {
      expect(await ofRedis({ host, port })).toEqual(['ok', `Redis at ${host}:${port} responds\n`])
      await client.send('ACL', ['SETUSER', user, 'on', '>the-right-password', '~*', '+@all'])
      expect((await ofRedis({ host, port, user, password: 'the-right-password' }))[0]).toBe('ok')
      expect(await ofRedis({ host, port, user, password: wrong })).toEqual([
        'failed',
        expect.stringMatching(
          new RegExp(`is reachable but does not accept the configured user '${user}'[^]*Correct \`user\` and \`password\``),
        ) as string,
      ])
      await client.send('ACL', ['SETUSER', user, '-@scripting'])
      expect(await ofRedis({ host, port, user, password: 'the-right-password' })).toEqual([
        'failed',
        expect.stringMatching(/NOPERM[^]*a user that may run scripts/) as string,
      ])
    } finally {
      await client.send('ACL', ['DELUSER', user])
      client.close()
    }
  })

  test('[OPS-1] TLS with a Redis without it, and with a certificate of an unknown CA', async () => {
    expect(await ofRedis({ host, port, tls: true })).toEqual([
      'failed',
      expect.stringMatching(/TLS handshake failed[^]*set `tls: false`/) as string,
    ])
    const { cert, key } = makeCertificate({ name: 'redis' })
    await using front = await tlsFront({ host, port }, { cert, key })
    expect(await ofRedis({ port: front.port, tls: true })).toEqual([
      'failed',
      expect.stringMatching(/TLS handshake failed \(DEPTH_ZERO_SELF_SIGNED_CERT\)\nIts certificate must match .* a trusted CA/) as string,
    ])
    expect(await ofRedis({ port: front.port })).toEqual([
      'failed',
      expect.stringMatching(/or set `tls: true` if it requires TLS/) as string,
    ])
  })
})
