import type { CreateTableBuilder, RawBuilder, Transaction } from 'kysely'
import type { Tables } from './tables.ts'

/** What a migration has to work with. */
export interface MigrationTools {
  readonly engine: 'sqlite' | 'postgres'
  /** The transaction that the migration runs in, with whatever tables there are at that point. */
  readonly transaction: Transaction<Tables>
  readonly schema: Transaction<Tables>['schema']
  /** A table whose columns hold what their types say, on SQLite too (`strict`). */
  readonly createTable: <T extends string>(name: T) => CreateTableBuilder<T>
  /** Column types that mean the same on both engines. */
  readonly types: ColumnTypes
}

interface ColumnTypes {
  /** Compared and sorted by its bytes. */
  readonly text: RawBuilder<unknown>
  /** A whole number of 64 bits. */
  readonly integer: 'bigint' | 'integer'
}

/** One step of the tables' history. Never changed once it has been released: what is wrong with it is put right by the next. */
export interface Migration {
  /** 1, 2, 3 … without a gap. */
  readonly number: number
  /** As in the file's name. */
  readonly name: string
  up(tools: MigrationTools): Promise<void>
}

export function defineMigration(migration: Migration): Migration {
  return migration
}
