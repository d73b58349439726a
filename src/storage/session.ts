/** What a statement gave. `changes` counts the rows that it inserted, updated or deleted. */
export interface StatementResult {
  readonly rows: Record<string, unknown>[]
  readonly changes: number
}

/** `serializable`: as if the transactions had run one after the other; always so on SQLite. */
export type Isolation = 'read committed' | 'serializable'

/** One connection, in one pair of hands. */
export interface Session {
  execute(sql: string, parameters: readonly unknown[]): Promise<StatementResult>
  /** Runs a statement once for each list of parameters (JSON: a list of lists), all runs or none, in one message. Absent on PostgreSQL. */
  executeEach?(sql: string, parameters: string): Promise<void>
  begin(isolation: Isolation): Promise<void>
  /** Resolves once what was written is durable. */
  commit(): Promise<void>
  rollback(): Promise<void>
  release(): void
}

/** Where connections come from. */
export interface Sessions {
  /** Waits until the database is open; throws ApiError 503 where it is out of reach. */
  acquire(): Promise<Session>
}
