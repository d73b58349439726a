// Started by tests (`workers.ts`): a process that runs jobs of the kinds in `kinds.ts`. Arguments: the backend as JSON, the lease in milliseconds.
import { createJobQueue } from '../../src/jobs/queue.ts'
import { Secret } from '../../src/secret.ts'
import type { PostgresBackend, SqliteBackend } from '../../src/storage/config.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { kindsFor } from './kinds.ts'

const [given = '', lease = ''] = process.argv.slice(2)
const { secret, ...rest } = JSON.parse(given) as (SqliteBackend | PostgresBackend) & { secret?: string }
const backend = (secret === undefined ? rest : { ...rest, password: new Secret(secret) }) as SqliteBackend | PostgresBackend

const print = (line: string): void => void process.stdout.write(`${line}\n`)

const database = await openDatabase(backend)
const queue = createJobQueue({ database, definitions: kindsFor(print), concurrency: 3, lease: Number(lease) })
queue.start()
print('ready')

const alive = setInterval(() => undefined, 60_000)
process.once('SIGTERM', () => {
  void queue
    .drain({ timeout: 0 })
    .then(() => database[Symbol.asyncDispose]())
    .then(() => clearInterval(alive))
})
