import type { SqliteConnection } from '../../runtime/sqlite.ts'

/** The version of the tables, stored in `user_version`. */
export const schemaVersion = 1

/** The file cannot be used by this program, and trying again does not help. */
export class TraceStoreError extends Error {
  /** One sentence for people. */
  readonly remedy: string

  constructor(message: string, remedy: string) {
    super(message)
    this.name = 'TraceStoreError'
    this.remedy = remedy
  }
}

/**
 * `traces` has a row for each request that was kept (`part` is its server span), and one for whatever a caller logs itself to a trace (`part` names
 * the caller): two tenants that send the same trace id have two rows. Times are Unix milliseconds with fractions.
 */
const statements = [
  `create table traces (
    id integer primary key autoincrement,
    trace_id text not null,
    part text not null,
    root_span_id text not null,
    name text not null,
    "start" real not null,
    "end" real not null,
    status text not null,
    failed integer not null,
    kept text not null,
    http_status integer,
    route text,
    model text,
    provider text,
    principal text,
    principal_attributes text not null,
    key_id text,
    request_id text not null,
    error_type text,
    input_tokens integer,
    output_tokens integer,
    cost_usd real,
    unique (trace_id, part)
  )`,
  'create index traces_start on traces ("start", id)',
  'create index traces_request on traces (request_id)',
  `create table spans (
    trace integer not null references traces (id) on delete cascade,
    span_id text not null,
    parent_span_id text,
    name text not null,
    kind text not null,
    "start" real not null,
    "end" real not null,
    status text not null,
    status_message text,
    attributes text not null,
    events text not null,
    primary key (trace, span_id)
  )`,
  'create index spans_id on spans (span_id)',
]

/** Came later, and changes nothing for programs that do not know it. */
const indexOfLogged = `create index if not exists traces_logged on traces ("start", id) where substr(part, 1, 10) = 'logged by '`

/** The version of the tables that are there; 0: none yet. Throws TraceStoreError for a file that is something else, or that a newer program made. */
export function versionOf(connection: SqliteConnection, path: string): number {
  // In this order: another process may be making the tables just now.
  const tables = numberOf(connection, "select count(*) from sqlite_schema where name not like 'sqlite\\_%' escape '\\'")
  const version = numberOf(connection, 'pragma user_version')
  if (version > schemaVersion) {
    throw new TraceStoreError(
      `The trace store ${path} was made by a newer version of Corral (${version}, this one knows ${schemaVersion}).`,
      'Update Corral, or name another file in telemetry.store.path.',
    )
  }
  if (version === 0 && tables > 0) {
    throw new TraceStoreError(`${path} is a database of something else.`, 'Name another file in telemetry.store.path.')
  }
  return version
}

/** Makes the tables where there are none; several processes may do so at once. */
export function prepareStore(connection: SqliteConnection, path: string): void {
  connection.execute('pragma synchronous = normal', [])
  connection.execute('pragma journal_size_limit = 4194304', [])
  if (versionOf(connection, path) === schemaVersion) {
    connection.execute(indexOfLogged, [])
    return
  }
  // Takes effect as the file is rebuilt, and only while it is empty.
  connection.execute('pragma auto_vacuum = incremental', [])
  connection.execute('vacuum', [])
  connection.execute('begin immediate', [])
  try {
    if (versionOf(connection, path) === 0) {
      for (const statement of statements) connection.execute(statement, [])
      connection.execute('pragma user_version = 1', [])
    }
    connection.execute(indexOfLogged, [])
    connection.execute('commit', [])
  } catch (error) {
    if (connection.inTransaction) connection.execute('rollback', [])
    throw error
  }
}

/** The one number that a statement gives. */
export function numberOf(connection: SqliteConnection, statement: string): number {
  const [row] = connection.execute(statement, []).rows
  return Number(row && Object.values(row)[0])
}
