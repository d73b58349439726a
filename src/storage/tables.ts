import type { Selectable } from 'kysely'

/**
 * The tables, as Kysely sees them. Alike on both engines: text, and integers below 2^53. Times are Unix milliseconds. What is structured is
 * JSON in a text column. A table and its migration change together.
 */
export interface Tables {
  revisions: RevisionsTable
  models: ModelsTable
  api_keys: ApiKeysTable
  quota_counters: QuotaCountersTable
  quota_holders: QuotaHoldersTable
  ledger: LedgerTable
  jobs: JobsTable
}

/** What a query gives for a row of a table. */
export type RevisionRow = Selectable<Tables['revisions']>
export type ModelRow = Selectable<Tables['models']>
export type ApiKeyRow = Selectable<Tables['api_keys']>
export type LedgerRow = Selectable<Tables['ledger']>
export type JobRow = Selectable<Tables['jobs']>

/** The columns of every table whose rows have owners (`access/owned-rows.ts`). */
export interface OwnedColumns {
  id: string
  created_at: number
  /** The principal's id; null: unowned, so accessible to every principal under the default policy. */
  owner_id: string | null
  /** The owner's attributes when the row was made, JSON. */
  owner_attributes: string
}

/** What replicas must agree on: a value goes up with each change of what its scope names. */
interface RevisionsTable {
  scope: string
  value: number
}

/**
 * Models registered over the API. `id` is made of owner and `model_id`, so that each owner has a name once, and owners who cannot see each
 * other's models may use the same name without learning of it.
 */
interface ModelsTable extends OwnedColumns {
  /** What requests name. */
  model_id: string
  provider_id: string
  provider_model_id: string
  model_type: string
  metadata: string
}

/** Corral's own API keys. */
interface ApiKeysTable extends OwnedColumns {
  name: string
  /** HMAC-SHA-256 of the secret with the pepper, hex. */
  hash: string
  /** The first and last characters, to recognise a key by. */
  hint: string
  /** Whom it acts as. */
  principal: string
  /** JSON. */
  attributes: string
  /** JSON lists; null: no restriction. */
  allowed_models: string | null
  allowed_apis: string | null
  /** JSON: the list of Limit. */
  limits: string
  expires_at: number | null
  revoked_at: number | null
  /** The hash before a rotation, and until when it still works. */
  previous_hash: string | null
  previous_until: number | null
}

/** Units taken from a limit by all processes, leases included, in one window. */
interface QuotaCountersTable {
  /** A hash of limit, subject and unit; never a token. */
  counter: string
  window_start: number
  window_end: number
  taken: number
  /** What the last statement took of it, so that one statement can count and return. */
  granted: number
  /** How much of it processes said they hold unused. A hint: a process that died does not take it back. */
  leased: number
  /** Until then a refused request waits for more. */
  wanted_until: number
}

/** Slots of running requests that one process holds of a counter; void once `until` has passed without a renewal. */
interface QuotaHoldersTable {
  counter: string
  holder: string
  held: number
  until: number
  /** Goes up with each request of the holder: one that comes late changes nothing. */
  sequence: number
}

/** One row for each priced reply of a model; append-only. */
interface LedgerTable {
  id: string
  created_at: number
  request_id: string
  key_id: string | null
  principal: string | null
  /** The principal's attributes, JSON. */
  attributes: string
  provider: string
  /** The catalogue's id. */
  model: string
  capability: string
  outcome: string
  input_tokens: number
  output_tokens: number
  cached_input_tokens: number
  reasoning_tokens: number
  /** 1: counted or guessed by us, because the provider did not say. */
  estimated: number
  /** Billionths of a US dollar; null: no price is known. */
  cost_nano_dollars: number | null
}

/** Work to be done once, by whichever process takes it (`jobs/`). */
interface JobsTable {
  id: string
  created_at: number
  kind: string
  /** Of all queued or running jobs of a kind, at most one has this key; null: any number. */
  key: string | null
  /** JSON. */
  payload: string
  state: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled'
  /** Not started before. */
  run_at: number
  /** Attempts so far. With `lease_owner` the fencing token: every write of an attempt names both. */
  attempts: number
  /** Goes up by one where an attempt was given back unfinished, which does not count. */
  max_attempts: number
  lease_owner: string | null
  /** Another process may take the job over from then on. */
  lease_until: number | null
  /** 1: the running attempt is to stop. */
  cancel_requested: number
  last_error: string | null
  /** What the attempts have recorded of their progress, JSON. */
  progress: string | null
  finished_at: number | null
}
