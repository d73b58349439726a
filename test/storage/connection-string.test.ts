import { describe, expect, test } from 'bun:test'
import { sql } from 'kysely'
import { Client } from 'pg'
import type { PostgresBackend } from '../../src/storage/config.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { load, withConfig } from '../config/loading.ts'

const url = process.env['CORRAL_TEST_POSTGRES']
const ca = process.env['CORRAL_TEST_POSTGRES_CA']

interface Seen {
  readonly user: string
  readonly ssl: boolean
}

/** Who the records' database takes Corral for, and whether the connection is encrypted. */
async function seenBy(connectionString: string, schema: string): Promise<Seen> {
  const storage = `storage: { backends: { sql_default: { type: sql_postgres, connection_string: "\${env.URL}", schema: ${schema} } }, stores: { metadata: { backend: sql_default } } }`
  const { config } = await load(`${withConfig('mode: fast')}\n${storage}`, { env: { URL: connectionString } })
  await using database = await openDatabase(config.storage.records)
  const query = sql<Seen>`select session_user as user, ssl from pg_catalog.pg_stat_ssl where pid = pg_backend_pid()`
  const { rows } = await database.write((transaction) => query.execute(transaction))
  return { user: rows[0]?.user ?? '', ssl: Boolean(rows[0]?.ssl) }
}

const postgres = engines.find(({ name }) => name === 'postgres')

if (postgres && url && ca) {
  describe('[REL-4] a connection string against PostgreSQL', () => {
    for (const password of ['plain', 'p@ss/w:rd?#%&=+ é', '123456']) {
      for (const [mode, ssl] of [
        ['disable', false],
        ['require', true],
        ['verify-full', true],
      ] as const) {
        test(`[REL-4] password ${password}, sslmode=${mode}`, async () => {
          await using place = await postgres.fresh()
          const { host, port, database, schema = '' } = place.backend as PostgresBackend
          const user = `role@${crypto.randomUUID()}`
          await asOwner(`create role "${user}" login superuser password '${password}'`)
          try {
            const at = `${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${database ?? ''}`
            const seen = await seenBy(`postgresql://${at}?sslmode=${mode}&sslrootcert=${ca}`, schema)
            expect(seen).toEqual({ user, ssl })
            const wrong = at.replace(`:${encodeURIComponent(password)}@`, ':wrong@')
            expect(await failureOf(seenBy(`postgresql://${wrong}`, schema))).toBeInstanceOf(Error)
          } finally {
            await asOwner(`drop owned by "${user}" cascade; drop role "${user}"`)
          }
        })
      }
    }
  })
}

async function asOwner(statement: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

test('PostgreSQL is there with the certificate of its authority, or not at all', () => {
  expect(Boolean(url)).toBe(Boolean(ca))
})
