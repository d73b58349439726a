import type { AccessPolicy } from '../access/policy.ts'
import type { Call } from '../call.ts'
import type { RegisteredModel } from '../config/config.ts'
import type { Operation } from '../operations/operation.ts'
import type { AnyInvoke, FallbackModel } from '../providers/provider.ts'
import type { Model, RegisterModelRequest } from '../schemas/models.ts'
import type { Events } from '../telemetry/events.ts'
import type { CallerListingLimits } from './caller-listings.ts'
import type { ListingTimes } from './listing.ts'
import type { ProviderRegistry } from './providers.ts'
import type { StoredModels } from './stored-models.ts'

/** One model at one provider that can serve a request. */
export interface Target {
  readonly providerId: string
  /** `gen_ai.provider.name`. */
  readonly providerName: string
  /** The upstream's id. */
  readonly model: string
  /** The id of the provider's model in the catalogue, whatever name was requested: limits and the ledger use it. */
  readonly catalogueId: string
  readonly invoke: AnyInvoke
  /** The names of formats that the provider accepts for the operation, beside the operation's own. */
  readonly formats?: readonly string[] | undefined
  /** The models that a request names beside its `model`. Throws ApiError where the caller may not use one. Absent: the provider has no such fields. */
  readonly checkFallbacks?: FallbackCheck | undefined
}

export type FallbackCheck = (body: unknown, call: Call) => readonly FallbackModel[] | undefined

/** In the order in which they are to be tried. */
export type Targets = readonly [Target, ...Target[]]

export interface ModelCatalog {
  /**
   * The one look-up, without a promise where the model is listed: `resolveId` (`registry/resolve.ts`) describes which model an id means.
   * Throws 404 (absent, outside `allowed_models`, or not the caller's to use by policy or key), 400 (several providers have it; it is of another type;
   * the provider does not support the operation), 503 with Retry-After (a provider's first listing has not been tried yet, or the provider could not be
   * started; it may be a registered model, and the database is unavailable).
   */
  resolve(id: string, operation: Operation, call: Call): Targets | Promise<Targets>
  /** The models known now: does not wait for providers, and at most a second for the listings of the caller's own keys. */
  list(call: Call): Promise<Model[]>
  /** One model of the list, by its id or any other that resolves to it. Throws as `resolve` does. */
  get(id: string, call: Call): Promise<Model>
  /**
   * Registers a model for all callers that the policy permits to see it. Throws 400, 403 (the policy forbids to create it), 404 (the caller may not
   * use its target), 409 (a model of that name is visible to the caller), 503 (the database is unavailable).
   */
  register(body: RegisterModelRequest, call: Call): Promise<Model>
  /** Deletes a registered model. Throws 403 for what is configured or listed, or not the caller's to delete; 404, 503. */
  unregister(id: string, call: Call): Promise<void>
  /** The providers whose first listing is still awaited. */
  readonly awaited: readonly string[]
  /**
   * The catalogue's id of the model that a request names `requestedModel`, without the models that callers have registered. Undefined where there is no
   * such model, or several. Synchronous.
   */
  catalogueIdOf(requestedModel: string): string | undefined
  /**
   * The catalogue's id of a provider's model that is listed or configured, or, where the provider lists none, registered. Undefined for others. Waits
   * for nothing.
   */
  catalogueIdOfTarget(providerId: string, upstreamId: string): string | undefined
}

/** Milliseconds. */
export interface CatalogTimes extends ListingTimes {
  /** How long a request waits for a first listing before it gets 503. */
  firstListingTimeout: number
  /** How long a request waits for what the caller's own keys list. */
  callerListingTimeout: number
}

export interface ModelCatalogOptions {
  providers: ProviderRegistry
  /** The configuration's. */
  registered: readonly RegisteredModel[]
  /** Those that were registered over the API. */
  stored: StoredModels
  /** Who may see and use which. Default: Llama Stack's default policy. */
  policy?: AccessPolicy | undefined
  events: Events
  /** Seconds between two listings of providers with `refresh_models`. */
  refreshInterval: number
  times?: Partial<CatalogTimes>
  callerLimits?: Partial<CallerListingLimits>
}
