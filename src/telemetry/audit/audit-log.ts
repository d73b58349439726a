/** One entry of the audit log, before it is chained: a denial or a change. Without secrets. */
export interface AuditEntry {
  /** E.g. `request.denied`, `api_key.created`, `api_key.revoked`, `model.registered`, `policy.loaded`. */
  readonly event: string
  readonly request_id?: string | undefined
  readonly principal?: string | undefined
  readonly key_id?: string | undefined
  readonly client_address?: string | undefined
  readonly action?: string | undefined
  readonly resource?: string | undefined
  readonly status?: number | undefined
  readonly denied_by?: string | undefined
  readonly reason?: string | undefined
  /** The new values of a change. */
  readonly detail?: Readonly<Record<string, unknown>> | undefined
}

/** Takes entries without waiting; entries that could not be written are counted and reported by a later line of the chain. */
export interface AuditLog extends AsyncDisposable {
  record(entry: AuditEntry): void
  /** Records one entry; resolves after it is synced to disk. Rejects when an attempt to write it failed: the entry is then kept and tried again. */
  recordDurably(entry: AuditEntry): Promise<void>
  /** Resolves after every entry of `recordDurably` so far is synced to disk. Rejects like it. */
  synced(): Promise<void>
  /** Entries that were lost since the start. */
  readonly lost?: number
}

export const noAuditLog: AuditLog = { record() {}, async recordDurably() {}, async synced() {}, async [Symbol.asyncDispose]() {} }
