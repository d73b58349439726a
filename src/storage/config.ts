import type { Secret } from '../secret.ts'

/** libpq's `sslmode`s. */
export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof sslModes)[number]

export interface SqliteBackend {
  readonly engine: 'sqlite'
  /** Absolute, or `:memory:`. */
  readonly path: string
}

export interface PostgresBackend {
  readonly engine: 'postgres'
  readonly host: string
  readonly port: number
  readonly database?: string | undefined
  readonly user?: string | undefined
  readonly password?: Secret | undefined
  /** The schema of Corral's tables, created if absent. Default: the user's own search path. */
  readonly schema?: string | undefined
  /** Default `prefer`. */
  readonly sslMode?: SslMode | undefined
  /** PEM file. */
  readonly caCertPath?: string | undefined
  /** Connections at most. */
  readonly poolSize: number
}

export interface RedisBackend {
  readonly engine: 'redis'
  readonly host: string
  readonly port: number
  readonly user?: string | undefined
  readonly password?: Secret | undefined
  readonly tls?: boolean | undefined
  /** What every key begins with, so that several servers can share a Redis. */
  readonly namespace?: string | undefined
}

export type Backend = SqliteBackend | PostgresBackend | RedisBackend

export interface StorageConfig {
  /** `storage.backends` by name; MongoDB is not among them (a start error where something refers to it). */
  readonly backends: Readonly<Record<string, Backend>>
  /** Where this server keeps its own records: keys, registered models, the ledger. */
  readonly records: SqliteBackend | PostgresBackend
  /** False: none is configured, and the file in Corral's home is used; a server that cannot open it starts without. */
  readonly recordsConfigured: boolean
}
