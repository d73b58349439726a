import type { Requirements } from './requirement.ts'

/** What is kept (behaviour §6.2). */
export const storage: Requirements = {
  'STO-1': {
    source: 'issue "Storage first"; docs/storage.md',
    when: 'the configuration names no database',
    observed: "records are kept in corral.db in Corral's home",
  },
  'STO-2': {
    source: 'behaviour §6.2; docs/storage.md',
    when: '`storage.backends` and `storage.stores` name databases',
    observed: "records are kept in the metadata store's backend, else in the first SQL store's, else in `sql_default`",
  },
  'STO-3': {
    source: 'behaviour §6.2; docs/storage.md',
    when: 'a store lies in Redis or MongoDB',
    observed: 'a warning says where records go in the place of Redis; MongoDB is a start error where a store names it',
  },
  'STO-4': {
    source: 'behaviour §6.2',
    when: 'a store names a backend that is not there, or one of the wrong kind',
    observed: "a start error in Llama Stack's words, with the place in the file; all fields are read, and passwords cannot be printed",
  },
  'STO-5': {
    source: 'behaviour §6.2; files of older versions',
    when: 'a file has `metadata_store` and its like at the top level',
    observed: 'records are kept in the database that it names',
  },
  'STO-6': {
    source: 'issue "Storage first"',
    when: 'a process is killed with kill -9, or its writing thread ends, while it writes',
    observed: 'every acknowledged transaction is there and whole; commits are synced to the disk before they are acknowledged',
  },
  'STO-7': {
    source: 'issue "Storage first"; field-lessons 43',
    when: 'several processes write one database at once',
    observed: 'nothing is lost, and no process fails because of another’s lock',
  },
  'STO-8': {
    source: 'issue "Storage first"; OpenAI lists',
    when: 'a list is read page by page while rows are added and deleted',
    observed:
      'every row that is there the whole time is seen exactly once and in order, no row twice, also when the row of the cursor has gone',
  },
  'STO-9': {
    source: 'design §5; OpenAI lists',
    when: 'a cursor names a row that is not there, or that the caller may not see',
    observed: 'the same 400 for both, which names the parameter',
  },
  'STO-10': {
    source: 'src/storage/database.ts',
    when: 'many transactions are written at once, and some fail, deadlock, or lose their thread',
    observed: 'each is committed as a whole or not at all, as reported; a lost race is retried',
  },
  'STO-11': {
    source: 'src/storage/database.ts',
    when: 'a statement of a transaction fails, or comes after its end',
    observed: 'nothing of it is kept, alike on both engines',
  },
  'STO-12': {
    source: 'bun-notes "SQL"',
    when: 'a value is stored that an engine would round, convert or reject',
    observed: 'it is refused on both engines: integers from 2^53, dates, booleans, U+0000',
  },
  'STO-13': {
    source: 'docs/storage.md',
    when: 'a SQLite file is made',
    observed: 'its folders are 0700, the file and the log beside it 0600',
  },
  'STO-14': {
    source: 'issue "Storage first"',
    when: 'a database of any earlier version, with rows, is opened',
    observed: 'its tables become those of a new one, and the rows are kept; a migration that fails changes nothing',
  },
  'STO-15': {
    source: 'issue "Storage first"',
    when: 'several processes open a new database together',
    observed: 'its tables are made once, and all go on',
  },
  'STO-16': {
    source: 'issue "Storage first"; docs/storage.md',
    when: 'the database is of a newer version, or holds tables of somebody else',
    observed: 'it is refused with what to do, and not touched',
  },
  'STO-17': {
    source: 'issue "Storage first"',
    when: 'one replica changes what all must agree on',
    observed: 'every other one sees it within a second, and none what was rolled back',
  },
  'STO-18': {
    source: 'issue "Storage first"',
    when: 'the store has not been read yet, or has been out of reach for more than a minute',
    observed: 'what depends on it is a 503 with Retry-After; until then the latest known counts',
  },
  'STO-19': {
    source: 'design §5; docs/storage.md',
    when: 'PostgreSQL stops, restarts, or does not respond',
    observed: 'a 503 with Retry-After, logged once; it recovers without a restart',
  },
  'STO-20': {
    source: 'docs/storage.md',
    when: 'the database cannot be opened at start',
    observed: 'an error for a configured file, a warning for the default one; with PostgreSQL out of reach the server starts and recovers',
  },
  'STO-21': {
    source: 'libpq, "SSL Support", table 34.1',
    when: 'each `ssl_mode` meets a server with TLS, with a wrong name, with an unknown authority, without TLS',
    observed: 'encrypted, plain or refused as libpq does it',
  },
  'STO-22': {
    source: 'issue "Storage first"',
    when: '`corral storage status` and `corral storage migrate` are run',
    observed:
      'the first shows engine, place, version, pending migrations, rows and size, and changes nothing; the second brings up to date',
  },
  'STO-23': {
    source: 'issue "Storage first"',
    when: '`corral storage backup` is run while servers write',
    observed: 'a whole copy of one moment, its owner’s alone; for PostgreSQL the pg_dump command without the password, and exit code 1',
  },
}
