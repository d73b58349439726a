import type { AccessPolicy } from '../access/policy.ts'
import type { Call } from '../call.ts'
import type { RegisteredModel } from '../config/config.ts'
import type { Capability, InvokeRecord } from '../providers/provider.ts'
import type { Model } from '../schemas/models.ts'
import type { Events } from '../telemetry/events.ts'
import type { CallerListingLimits } from './caller-listings.ts'
import type { ListingTimes } from './listing.ts'
import type { ProviderRegistry } from './providers.ts'
import type { RegisterModelInput } from './registration.ts'
import type { StoredModels } from './stored-models.ts'

/** A model that may be called: the capability, bound to its provider and metered, and the upstream's id. */
export interface ResolvedModel<C extends Capability> {
  readonly invoke: NonNullable<InvokeRecord[C]>
  /** The upstream's id. */
  readonly model: string
  readonly providerId: string
  /** The provider's model under its id in the catalogue, by whatever name it was asked for: what limits and the ledger go by. */
  readonly catalogueId: string
}

export interface ModelCatalog {
  /**
   * The one look-up, without a promise where the model is listed: which model an id means is told at `resolveId` (`registry/resolve.ts`).
   * Throws 404 (absent, outside `allowed_models`, or not the caller's to use by policy or key), 400 (several providers have it; it is of another type;
   * the provider lacks the capability), 503 with Retry-After (a provider's first listing has not been tried yet, or the provider could not be
   * started; whether it is a registered model cannot be told, because the database is out of reach).
   */
  resolve<C extends Capability>(id: string, capability: C, call: Call): ResolvedModel<C> | Promise<ResolvedModel<C>>
  /** What is known now: waits for no provider, and at most a second for what the caller's own keys list. */
  list(call: Call): Promise<Model[]>
  /** One model of the list, by its id or any other that resolves to it. Throws as `resolve` does. */
  get(id: string, call: Call): Promise<Model>
  /**
   * Registers a model for everybody whom the policy lets see it. Throws 400, 403 (the policy forbids to create it), 404 (the caller may not
   * use what it stands for), 409 (the caller sees one of that name already), 503 (there is no database, or it is out of reach).
   */
  register(input: RegisterModelInput, call: Call): Promise<Model>
  /** Deletes a registered model. Throws 403 for what is configured or listed, or not the caller's to delete; 404, 503. */
  unregister(id: string, call: Call): Promise<void>
  /** The providers whose first listing is still awaited. */
  readonly awaited: readonly string[]
  /**
   * The catalogue's id of the model that requests call `requestedModel`; undefined: the catalogue that everybody shares has no such model, or several. What callers
   * have registered is not in it. Waits for nothing.
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
  /** Those that were registered over the API. Absent: there is nowhere to keep any. */
  stored?: StoredModels | undefined
  /** Who may see and use which. Default: Llama Stack's default policy. */
  policy?: AccessPolicy | undefined
  events: Events
  /** Seconds between two listings of providers with `refresh_models`. */
  refreshInterval: number
  times?: Partial<CatalogTimes>
  callerLimits?: Partial<CallerListingLimits>
}
