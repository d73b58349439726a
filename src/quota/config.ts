import type { Limit, Period } from '../call.ts'

/** The subjects that a limit counts separately. `attribute:<name>`: each value of an attribute, e.g. `attribute:projects`. */
export type LimitSubject = 'global' | 'key' | 'user' | 'team' | 'model' | 'provider' | 'address' | `attribute:${string}`

/** A limit of the configuration. */
export interface ConfiguredLimit extends Limit {
  /** Each combination of these is counted separately. */
  readonly per: readonly LimitSubject[]
  /** Conditions of the policy language on the user, all of which must hold; empty: always. */
  readonly when: readonly string[]
  /** Patterns of model ids with `*`. Absent: requests for every model and for none. */
  readonly models?: readonly string[] | undefined
  /** Provider ids. Absent: all. */
  readonly providers?: readonly string[] | undefined
}

/** Llama Stack’s quota: requests, counted by user, or by address without authentication. */
export interface RequestQuota {
  readonly anonymous: number
  readonly authenticated: number
  readonly period: Period
}

/** US dollars for a million tokens, unless noted. Absent prices are unknown; cached input then costs as much as other input. */
export interface PriceOverride {
  /** A provider’s id. Absent: any. */
  readonly provider?: string | undefined
  /** A pattern of the catalogue’s or the provider’s id, with `*`. */
  readonly model: string
  readonly input: number
  readonly output?: number | undefined
  readonly cachedInput?: number | undefined
  readonly cacheWrite?: number | undefined
  readonly inputAudio?: number | undefined
  readonly outputAudio?: number | undefined
  /** US dollars for each request, in addition to its tokens. */
  readonly request?: number | undefined
}

/** Where counts are shared: a backend of `storage.backends` by name, or a SQLite file. */
export type QuotaStoreConfig = { readonly namespace?: string | undefined } & ({ readonly backend: string } | { readonly path: string })

/** `server.quota`, validated. */
export interface QuotaConfig {
  readonly requests?: RequestQuota | undefined
  /** In the order of the file. */
  readonly limits: readonly ConfiguredLimit[]
  /** Absent: memory if one process serves, else the metadata database. */
  readonly store?: QuotaStoreConfig | undefined
  /** Whether requests are admitted while the store is unavailable. Default `closed`: 503. */
  readonly onStoreFailure?: 'open' | 'closed' | undefined
  /** Output tokens reserved for a request without a maximum. Default 4096. */
  readonly defaultMaxTokens?: number | undefined
  /** Bytes of text reserved as one input token. Default 1: no tokenizer exceeds it. */
  readonly inputBytesPerToken?: number | undefined
  /** The first match applies, before the catalogue. */
  readonly prices?: readonly PriceOverride[] | undefined
  /** A request under a limit in dollars whose model has no price. Default `refuse`. */
  readonly unpriced?: 'allow' | 'refuse' | undefined
  /** Whether every inference is recorded. Default: with authentication or any limit. */
  readonly ledger?: boolean | undefined
}

export const defaultMaxTokens = 4096

/** Whether there is a limit that is not of a key. */
export function limitsAnything({ requests, limits }: QuotaConfig): boolean {
  return requests !== undefined || limits.length > 0
}
