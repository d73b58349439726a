import { createServer } from 'node:net'
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { type ConnectionString, ConnectionStringError, parseConnectionString } from '../../src/config/connection-string.ts'
import { renderConfig } from '../../src/config/render.ts'
import { formatIssue } from '../../src/config/report.ts'
import type { PostgresBackend } from '../../src/storage/config.ts'
import { testServer } from '../../src/testing/index.ts'
import { load, problems, warnings, withConfig } from './loading.ts'

const one = withConfig('mode: fast')
const withBackend = (keys: string) =>
  `${one}\nstorage: { backends: { sql_default: { type: sql_postgres, ${keys} } }, stores: { metadata: { backend: sql_default } } }`

function parts(text: string): Partial<ConnectionString> {
  return Object.fromEntries(Object.entries(parseConnectionString(text)).filter(([, value]) => value !== undefined))
}

describe('[REL-4] a connection string', () => {
  const cases: [string, Partial<ConnectionString>][] = [
    ['postgresql://', {}],
    ['postgres://db', { host: 'db' }],
    ['postgresql://db:6432/corral', { host: 'db', port: 6432, database: 'corral' }],
    ['POSTGRESQL://ogx:pw@localhost:5432/ogx', { host: 'localhost', port: 5432, user: 'ogx', password: 'pw', database: 'ogx' }],
    ['postgres://u@h/d', { host: 'h', user: 'u', database: 'd' }],
    ['postgres://u:@h/d', { host: 'h', user: 'u', database: 'd' }],
    ['postgres://u:p@[2001:db8::1]:1/d', { host: '2001:db8::1', port: 1, user: 'u', password: 'p', database: 'd' }],
    ['postgres://a%40b:p%40%2F%3A%25%20x@h/d%2Fe', { host: 'h', user: 'a@b', password: 'p@/:% x', database: 'd/e' }],
    ['postgres://u:p@/d?host=/var/run/postgresql', { host: '/var/run/postgresql', user: 'u', password: 'p', database: 'd' }],
    ['postgres://h/d?sslmode=verify-full&sslrootcert=/ca.pem', { host: 'h', database: 'd', sslMode: 'verify-full', caCertPath: '/ca.pem' }],
    ['postgres://h/d?ssl=require', { host: 'h', database: 'd', sslMode: 'require' }],
    ['postgres://h/d?sslrootcert=system', { host: 'h', database: 'd' }],
    ['postgres://h?user=u&password=p%26q&dbname=d&port=7', { host: 'h', port: 7, user: 'u', password: 'p&q', database: 'd' }],
    ['postgres://h:5432/d?options=a@b', { host: 'h', port: 5432, database: 'd', ignored: ['options'] }],
    // Characters that ought to be escaped.
    ['postgres://u:p@ss@h/d', { host: 'h', user: 'u', password: 'p@ss', database: 'd' }],
    [
      'postgres://u:p/s?s#w@h:1/d?sslmode=disable',
      { host: 'h', port: 1, user: 'u', password: 'p/s?s#w', database: 'd', sslMode: 'disable' },
    ],
    ['postgres://u:123/4@h/d', { host: 'h', user: 'u', password: '123/4', database: 'd' }],
    ['postgres://u:50%@h/d', { host: 'h', user: 'u', password: '50%', database: 'd' }],
  ]
  for (const [text, expected] of cases) {
    test(`[REL-4] ${text}`, () => {
      expect(parts(text)).toEqual({ ignored: [], ...expected })
    })
  }

  const wrong: [string, RegExp][] = [
    ['host=db user=u', /must begin with postgres/],
    ['mysql://h/d', /must begin with postgres/],
    ['postgresql+asyncpg://h/d', /must begin with postgres/],
    ['postgres://u:p@h1,h2/d', /several hosts/],
    ['postgres://u:p@h1:1,h2:2/d', /several hosts|cannot be read/],
    ['postgres://h:99999/d', /port/],
    ['postgres://u:p@h:x/d', /cannot be read|port/],
    ['postgres://h/d?sslmode=verify_full', /sslmode/],
    ['postgres://a b/d', /cannot be read/],
  ]
  for (const [text, message] of wrong) {
    test(`[REL-4] ${text} is an error without the text`, () => {
      expect(() => parseConnectionString(text)).toThrow(ConnectionStringError)
      expect(() => parseConnectionString(text)).toThrow(message)
    })
  }

  test('[REL-4] what is escaped comes back, whatever it holds', () => {
    const word = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' })
    const host = fc.constantFrom('db', 'db.example', '10.0.0.1', '[::1]')
    fc.assert(
      fc.property(fc.tuple(word, word, word), host, fc.integer({ min: 1, max: 65_535 }), ([user, password, database], at, port) => {
        const text = `postgresql://${[user, password].map(encodeURIComponent).join(':')}@${at}:${port}/${encodeURIComponent(database)}`
        expect(parts(text)).toEqual({ user, password, database, port, host: at.replace(/[[\]]/g, ''), ignored: [] })
      }),
      { numRuns: 200 },
    )
  })

  test('[REL-4] a password need not be escaped', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[!-~]{1,16}$/), (password) => {
        fc.pre(!password.includes('%') && !/^\d+(\/[^/@]*)?\?|@[^@]*\?/.test(password))
        expect(parts(`postgres://u:${password}@db:5432/corral?sslmode=require`)).toMatchObject({ user: 'u', password })
      }),
      { numRuns: 200, examples: [['a@b'], ['@'], ['1/2'], ['p?x=@y'], ['#'], ['5432/d'], ['a@h/d'], ['?!'], ['/!']] },
    )
  })
})

describe('[REL-4] a backend with a connection string', () => {
  const env = { URL: 'postgresql://corral:s3cret%2Fword@db.example:6432/records?sslmode=require' }
  const text = withBackend('connection_string: "${env.URL}", pool_size: 3, max_overflow: 2, command_timeout: 30')

  test('[REL-4] is the database of the records', async () => {
    const { config, warnings: warned } = await load(text, { env })
    const { records } = config.storage as { records: PostgresBackend }
    const where = { host: 'db.example', port: 6432, database: 'records', user: 'corral', sslMode: 'require', poolSize: 3 } as const
    expect(records).toMatchObject({ engine: 'postgres', ...where })
    expect(records.password?.reveal()).toBe('s3cret/word')
    expect(warned).toEqual([])
    const kv = text.replace('sql_postgres', 'kv_postgres')
    expect((await load(kv, { env })).config.storage.records).toMatchObject(where)
    const older = `${one}\nmetadata_store: { type: postgres, connection_string: "\${env.URL}" }`
    expect((await load(older, { env })).config.storage.records).toMatchObject({ ...where, poolSize: 10 })
  })

  test('[REL-4] shows no password, from the environment or from the file', async () => {
    const literal = withBackend(`connection_string: "${env.URL}"`)
    for (const source of [text, literal]) {
      const { config } = await load(source, { env })
      const shown = [renderConfig(config), JSON.stringify(config.storage), Bun.inspect(config.storage, { depth: 9 })].join('\n')
      expect(shown).toContain('db.example')
      expect(shown).not.toMatch(/s3cret/)
    }
    for (const wrong of ['postgresql://corral:s3cret@a,b/d', 's3cret', 'postgres://u:s3cret@h/d?sslmode=no']) {
      const lines = [...(await problems(withBackend(`connection_string: "${wrong}"`))), ...(await problems(text, { env: { URL: wrong } }))]
      expect(lines).toHaveLength(2)
      expect(lines.join('\n')).not.toContain('s3cret')
    }
  })

  test('[REL-4] contradicts nothing that stands beside it', async () => {
    const string = 'connection_string: "postgres://u:p@h/d?sslmode=require"'
    expect(await problems(withBackend(`${string}, host: h, db: d`))).toEqual([
      expect.stringContaining('connection_string: replaces host, db: remove one of them') as string,
    ])
    expect(await problems(withBackend(`${string}, ssl_mode: disable`))).toEqual([
      expect.stringContaining('has sslmode=require, and ssl_mode is disable') as string,
    ])
    // What is empty is not there.
    expect(await warnings(withBackend(`${string}, host: "\${env.X:=}", ssl_mode: require`))).toEqual([])
    const empty = await load(withBackend('connection_string: "${env.URL:=}", host: other'))
    expect(empty.config.storage.records).toMatchObject({ host: 'other', port: 5432 })
  })

  test('[REL-4] warns of parameters that have no effect', async () => {
    const { warnings: warned } = await load(withBackend('connection_string: "postgres://h/d?application_name=x&connect_timeout=3"'))
    expect(warned.map(formatIssue).join()).toContain('parameters that have no effect here: application_name, connect_timeout')
  })
})

test('[REL-4] Corral connects to the address of the connection string, and starts without a response from it', async () => {
  const { promise: greeted, resolve: greet } = Promise.withResolvers<string>()
  // PostgreSQL documentation §55.7: a request for TLS, refused by N, then the start-up message.
  const database = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      if (bytes.readUInt32BE(4) === 80_877_103) socket.write('N')
      else {
        greet(bytes.toString('latin1'))
        socket.destroy()
      }
    })
  })
  await new Promise<void>((resolve) => database.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = database.address() as { port: number }
    const source = withBackend(`connection_string: "postgresql://a%40b:pw@127.0.0.1:${port}/the%20records"`)
    const { config } = await load(source)
    await using server = await testServer(config)
    expect(await greeted).toContain('user\0a@b\0database\0the records\0')
    expect((await server.fetch('/v1/health')).status).toBe(200)
  } finally {
    database.close()
  }
})
