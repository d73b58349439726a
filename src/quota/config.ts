import type { Limit, Period } from '../call.ts'

/** Whose use a limit counts together. `attribute:<name>`: each value of an attribute, e.g. `attribute:projects`. */
export type LimitSubject = 'global' | 'key' | 'user' | 'team' | 'model' | 'provider' | 'address' | `attribute:${string}`

/** A limit of the configuration. */
export interface ConfiguredLimit extends Limit {
  /** Each combination of these is counted by itself. */
  readonly per: readonly LimitSubject[]
  /** Conditions of the policy language on the user, all of which must hold; empty: for everybody. */
  readonly when: readonly string[]
  /** Patterns of model ids, `*` standing for any characters; absent: requests for every model, and those for none. */
  readonly models?: readonly string[] | undefined
  /** Ids of providers; absent: all. */
  readonly providers?: readonly string[] | undefined
}

/** Llama Stack's own quota: requests, counted by user, or by address where nobody authenticates. */
export interface RequestQuota {
  readonly anonymous: number
  readonly authenticated: number
  readonly period: Period
}

/** US dollars for a million tokens, where not said otherwise. What is absent is unknown; cached input then costs what other input does. */
export interface PriceOverride {
  /** A provider's id; absent: any. */
  readonly provider?: string | undefined
  /** A pattern of the catalogue's id or the provider's own, `*` standing for any characters. */
  readonly model: string
  readonly input: number
  readonly output?: number | undefined
  readonly cachedInput?: number | undefined
  readonly cacheWrite?: number | undefined
  readonly inputAudio?: number | undefined
  readonly outputAudio?: number | undefined
  /** US dollars for each request, beside its tokens. */
  readonly request?: number | undefined
}

/** Where counts are shared: a backend of `storage.backends` by name, or a SQLite file of its own. */
export type QuotaStoreConfig = { readonly namespace?: string | undefined } & ({ readonly backend: string } | { readonly path: string })

/** `server.quota`, checked. */
export interface QuotaConfig {
  readonly requests?: RequestQuota | undefined
  /** In the file's order. */
  readonly limits: readonly ConfiguredLimit[]
  /** Absent: memory where one process serves, else the database of this server's records. */
  readonly store?: QuotaStoreConfig | undefined
  /** Whether requests pass while the store is out of reach. Default `closed`: 503. */
  readonly onStoreFailure?: 'open' | 'closed' | undefined
  /** Output tokens that a request reserves which does not say how many it wants. Default 4096. */
  readonly defaultMaxTokens?: number | undefined
  /** Bytes of text that one input token is reserved for. Default 1, which no tokenizer exceeds. */
  readonly inputBytesPerToken?: number | undefined
  /** The first that matches counts, before the catalogue. */
  readonly prices?: readonly PriceOverride[] | undefined
  /** What becomes of a request under a limit in dollars whose model has no price. Default `refuse`. */
  readonly unpriced?: 'allow' | 'refuse' | undefined
  /** Whether each answer gets its line in the ledger. Default: where there is authentication or any limit. */
  readonly ledger?: boolean | undefined
}

export const defaultMaxTokens = 4096

/** Whether there is any limit that holds for more than single keys. */
export function limitsAnything({ requests, limits }: QuotaConfig): boolean {
  return requests !== undefined || limits.length > 0
}
