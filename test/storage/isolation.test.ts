import { expect, test } from 'bun:test'
import { Client } from 'pg'
import type { QuotaStore } from '../../src/quota/counters.ts'
import { createSqlStore } from '../../src/quota/stores/sql.ts'
import { windowAt } from '../../src/quota/windows.ts'
import { Secret } from '../../src/secret.ts'
import type { PostgresBackend } from '../../src/storage/config.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { engines } from '../../src/testing/engines.ts'

const postgres = engines.find(({ name }) => name === 'postgres')
const url = process.env['CORRAL_TEST_POSTGRES']

async function asOwner(statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

/** A user whose transactions are of another isolation unless they say which. */
async function userOf(isolation: string, { database, schema }: PostgresBackend) {
  const user = `test_${crypto.randomUUID().replaceAll('-', '')}`
  await asOwner([
    `create role ${user} login password 'of a test'`,
    `alter role ${user} set default_transaction_isolation = '${isolation}'`,
    `grant connect, create on database ${database} to ${user}`,
  ])
  return {
    user,
    password: new Secret('of a test'),
    [Symbol.asyncDispose]: () =>
      asOwner([
        `drop schema if exists ${schema} cascade`,
        `revoke connect, create on database ${database} from ${user}`,
        `drop role ${user}`,
      ]),
  }
}

const nothing = { returned: 0, owed: 0, leased: 0 }
const holding = { counter: 'slots', limit: 8, keep: 0, atLeast: 1, slots: 1, ttl: 600_000, sequence: 1 }

if (postgres) {
  for (const isolation of ['read committed', 'repeatable read', 'serializable']) {
    test(`[STO-10] [QUO-7] counts race as they should where the database's default isolation is ${isolation}`, async () => {
      await using place = await postgres.fresh()
      const backend = place.backend as PostgresBackend
      await using role = await userOf(isolation, backend)
      await using open = new AsyncDisposableStack()
      const start = async (): Promise<QuotaStore> => {
        const database = open.use(await openDatabase({ ...backend, user: role.user, password: role.password }))
        return open.use(createSqlStore(database))
      }
      const stores = await Promise.all([start(), start(), start(), start()])
      const window = windowAt('month', Date.now())
      const taking = { counter: 'units', window, limit: 50, atLeast: 1, wanted: 1, ...nothing }
      const taken = await Promise.all(stores.flatMap((store) => Array.from({ length: 20 }, () => store.exchange(taking))))
      expect(taken.reduce((sum, response) => sum + response.taken, 0)).toBe(50)
      const holds = stores.flatMap((store, of) => Array.from({ length: 10 }, (_, n) => store.hold({ ...holding, holder: `${of} ${n}` })))
      expect((await Promise.all(holds)).reduce((sum, response) => sum + response.held, 0)).toBe(8)
    }, 60_000)
  }
}
