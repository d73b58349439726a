// Started by tests (`processes.ts`): another process at the same database. Arguments: what to do, the backend as JSON. Prints lines.
import { Secret } from '../../src/secret.ts'
import type { PostgresBackend, SqliteBackend } from '../../src/storage/config.ts'
import type { Database } from '../../src/storage/database.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { bumpRevision } from '../../src/storage/revisions.ts'

type ProcessReport = (SqliteBackend | PostgresBackend) & { secret?: string }

const [what = '', reported = ''] = process.argv.slice(2)
const { secret, ...rest } = JSON.parse(reported) as ProcessReport
const backend = (secret === undefined ? rest : { ...rest, password: new Secret(secret) }) as SqliteBackend | PostgresBackend

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Writes without end, concurrently, and prints each id once it has been acknowledged. */
async function write(database: Database): Promise<never> {
  const one = async (): Promise<never> => {
    for (;;) {
      const id = crypto.randomUUID()
      await database.write(async (transaction) => {
        await bumpRevision(transaction, `${id} first`)
        await bumpRevision(transaction, `${id} second`)
      })
      say(id)
    }
  }
  return await Promise.race(Array.from({ length: 10 }, one))
}

/** The same with rows that are added together. */
async function add(database: Database): Promise<never> {
  const one = async (): Promise<never> => {
    for (;;) {
      const id = crypto.randomUUID()
      const rows = [`${id} first`, `${id} second`].map((scope) => JSON.stringify([scope, 1]))
      await database.add('revisions', { columns: ['scope', 'value'], rows })
      say(id)
    }
  }
  return await Promise.race(Array.from({ length: 10 }, one))
}

/** Adds 1, so many times. */
async function count(database: Database): Promise<void> {
  for (let n = 0; n < 100; n++) await database.write((transaction) => bumpRevision(transaction, 'count'))
}

/** Takes the lock of a transaction, prints that, and keeps it. */
async function hold(database: Database): Promise<void> {
  await database.write(async (transaction) => {
    await bumpRevision(transaction, 'held')
    say('holding')
    await new Promise((resolve) => setTimeout(resolve, 1000))
  })
}

const work: Readonly<Record<string, (database: Database) => Promise<void>>> = {
  open: () => Promise.resolve(),
  write,
  add,
  count,
  hold,
  bump: (database) => database.write((transaction) => bumpRevision(transaction, 'watched')),
}

const database = await openDatabase(backend)
say('open')
await work[what]?.(database)
await database[Symbol.asyncDispose]()
say('closed')
