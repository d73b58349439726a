import { open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { copySqlite } from '../runtime/sqlite.ts'
import type { PostgresBackend } from './config.ts'
import { codeOf, StorageError } from './errors.ts'

/**
 * Copies a SQLite file, as it is at one moment, while others write it. The copy appears whole, is on the disk, and is its owner's alone. Returns its
 * size in bytes. Throws StorageError.
 * @param replace whether a file that is there may be replaced
 */
export async function backupSqlite(from: string, to: string, { replace }: { replace: boolean }): Promise<number> {
  if (!replace && (await exists(to))) {
    throw new StorageError(`${to} already exists.`, 'Use another file name, or --force to replace it.')
  }
  if (!(await exists(from))) throw new StorageError(`There is no database at ${from} yet.`, 'Nothing has been stored yet.')
  const unfinished = `${to}.${process.pid}.part`
  try {
    await (await open(unfinished, 'wx', 0o600)).close()
    await copySqlite(from, unfinished)
    await sync(unfinished)
    await rename(unfinished, to)
    await sync(dirname(to))
    return (await stat(to)).size
  } catch (error) {
    await rm(unfinished, { force: true })
    throw new StorageError(
      `The database ${from} could not be copied to ${to} (${codeOf(error) ?? String(error)}).`,
      'The folder must exist and be writable, with space for the whole file.',
      error,
    )
  }
}

/** The command that copies a PostgreSQL database; it prompts for the password, or reads it from PGPASSWORD or ~/.pgpass. */
export function pgDumpCommand(backend: PostgresBackend, to: string): string {
  const { host, port, database, user, schema, sslMode, caCertPath } = backend
  const parts = { host, port, dbname: database, user, sslmode: sslMode, sslrootcert: caCertPath }
  const connection = Object.entries(parts).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${quoteConnectionValue(String(value))}`],
  )
  const words = [
    'pg_dump',
    '--format=custom',
    ...(schema === undefined ? [] : [`--schema=${schema}`]),
    `--file=${to}`,
    connection.join(' '),
  ]
  return words.map(quoteShellWord).join(' ')
}

function quoteConnectionValue(value: string): string {
  return /^[\w./:-]+$/.test(value) ? value : `'${value.replaceAll(/['\\]/g, String.raw`\$&`)}'`
}

function quoteShellWord(word: string): string {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  await handle.sync()
  await handle.close()
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
