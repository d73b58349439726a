import { defaultAccessPolicy } from '../access/access-policy.ts'
import type { Call } from '../call.ts'
import { ApiError, invalidRequest, shortened } from '../errors.ts'
import type { Operation } from '../operations/operation.ts'
import type { InferenceProvider } from '../providers/provider.ts'
import type { Model, RegisterModelRequest } from '../schemas/models.ts'
import type { Events } from '../telemetry/events.ts'
import { createCallerListings, defaultCallerListingLimits, type CallerListings } from './caller-listings.ts'
import type { CatalogTimes, FallbackCheck, ModelCatalog, ModelCatalogOptions, Target, Targets } from './catalog.ts'
import { isListable, startListing, defaultListingTimes, type Listing } from './listing.ts'
import { fallbackCheck, type NamedFallback } from './fallback-models.ts'
import { modelOverrides } from './model-overrides.ts'
import { ModelAccess } from './model-access.ts'
import {
  modelNotFound,
  modelAlreadyExists,
  operationNotSupported,
  notDeletable,
  notPermittedForKey,
  notListedYet,
  providerNotStarted,
  targetNotFound,
} from './model-errors.ts'
import {
  catalogueId,
  indexEntries,
  toCatalogEntries,
  type ModelOverrides,
  type CatalogEntry,
  type CatalogIndex,
} from './catalog-entries.ts'
import type { InferenceInstance } from './providers.ts'
import { checkRegistration } from './registration.ts'
import {
  resolveAlias,
  resolveId,
  toAliases,
  upstreamOf,
  type Alias,
  type Aliases,
  type Resolution,
  type ResolvableProvider,
} from './resolve.ts'
import { toModel } from './model-info.ts'
import { VisibleModels } from './visible-models.ts'
import type { StoredIndex, StoredModels } from './stored-models.ts'
import { sleep, startBackgroundTimer } from '../timing.ts'

export type { CatalogTimes, ModelCatalog } from './catalog.ts'

/** The catalogue of every provider's models. Listing starts now, in the background. */
export function createModelCatalog(options: ModelCatalogOptions): ModelCatalog & AsyncDisposable {
  return new Catalog(options)
}

class Catalog implements ModelCatalog, AsyncDisposable {
  readonly #providers: ReadonlyMap<string, InferenceInstance>
  readonly #aliases: Aliases
  readonly #overrides: ReadonlyMap<string, ModelOverrides>
  readonly #created = Math.floor(Date.now() / 1000)
  readonly #times: CatalogTimes
  readonly #events: Events
  readonly #callers: CallerListings
  readonly #access: ModelAccess
  readonly #stored: StoredModels
  #storedIsRead = false
  /** Made once for each provider that has fields for fallback models. */
  readonly #fallbackChecks = new WeakMap<InferenceProvider, FallbackCheck>()
  readonly #listings = new Map<string, Listing>()
  /** The shared catalogue's parts; replaced whole, each with its provider's next listing. */
  readonly #entries = new Map<string, readonly CatalogEntry[]>()
  /** The shared catalogue. One assignment replaces it, so that no request meets a gap. */
  #shared: CatalogIndex = indexEntries([])

  constructor(options: ModelCatalogOptions) {
    this.#events = options.events
    this.#access = new ModelAccess(options.policy ?? defaultAccessPolicy)
    this.#stored = options.stored
    void this.#stored.ready.then(() => (this.#storedIsRead = true))
    this.#times = { ...defaultListingTimes, firstListingTimeout: 1_000, callerListingTimeout: 1_000, ...options.times }
    const inference = options.providers.all.filter((instance) => instance.api === 'inference')
    this.#providers = new Map(inference.map((instance) => [instance.id, instance]))
    this.#aliases = toAliases({
      registered: options.registered,
      providerIds: [...this.#providers.keys()],
      created: this.#created,
      warn: (message) => this.#events.warning(message),
    })
    this.#overrides = modelOverrides(this.#aliases)
    this.#callers = createCallerListings({
      limits: { ...defaultCallerListingLimits, ...options.callerLimits },
      created: this.#created,
      overrides: (id) => this.#overrides.get(id),
      // A caller's bad key is the caller's to know, when it is used.
      onFailure: (provider, error) => {
        if (!(error instanceof ApiError && [401, 403].includes(error.status))) this.#events.listingFailed(provider, error)
      },
    })
    for (const instance of inference) this.#startListing(instance, options.refreshInterval * 1000)
  }

  get awaited(): readonly string[] {
    return [...this.#listings].filter(([, listing]) => listing.awaited).map(([id]) => id)
  }

  catalogueIdOf(requestedModel: string): string | undefined {
    const exact = this.#shared.byId(requestedModel) ?? this.#aliases.get(requestedModel)
    if (exact) return 'id' in exact ? exact.id : exact.model.modelId
    const slash = requestedModel.indexOf('/')
    const prefixed = slash > 0 ? this.#shared.ofProvider(requestedModel.slice(0, slash), requestedModel.slice(slash + 1)) : undefined
    if (prefixed) return prefixed.id
    const [only, ...others] = this.#shared.byUpstreamId(requestedModel)
    return others.length === 0 ? only?.id : undefined
  }

  catalogueIdOfTarget(providerId: string, upstreamId: string): string | undefined {
    const listed = this.#shared.ofProvider(providerId, upstreamId)
    if (listed) return listed.id
    const isTarget = (alias: Alias): boolean =>
      (alias.providerId === undefined || alias.providerId === providerId) && upstreamOf(alias.model) === upstreamId
    const id = catalogueId(providerId, upstreamId)
    if (this.#aliases.all.some(isTarget)) return id
    // A provider that lists its models vouches for names; a caller who registers one of another provider is believed.
    return !this.#entries.has(providerId) && this.#registeredNow().registered?.all.some(isTarget) ? id : undefined
  }

  resolve(id: string, operation: Operation, call: Call): Targets | Promise<Targets> {
    if (call.record) call.record.model = id
    const entry = this.#sharedEntry(id, call)
    return entry ? [this.#targetOfEntry(entry, id, operation)] : this.#resolveAsync(id, operation, call)
  }

  async #resolveAsync(id: string, operation: Operation, call: Call): Promise<Targets> {
    const found = await this.#resolveEntry(id, call)
    if (found.kind === 'unlisted') return [this.#target(found.providerId, found.upstreamId, { id, operation })]
    return [this.#targetOfEntry(found.entry, id, operation)]
  }

  #targetOfEntry({ providerId, upstreamId, type, typeIsGuess }: CatalogEntry, id: string, operation: Operation): Target {
    const { name, modelType } = operation
    if (type !== modelType && !typeIsGuess) {
      throw invalidRequest(`Model '${shortened(id)}' is of type '${type}'; ${name} requires a model of type '${modelType}'.`, {
        param: 'model',
      })
    }
    return this.#target(providerId, upstreamId, { id, operation })
  }

  async list(call: Call): Promise<Model[]> {
    const askable = this.#callerKeyProviders(call)
    await this.#waitAtMost(
      this.#times.callerListingTimeout,
      call,
      askable.map((instance) => this.#callers.refresh(instance, call)),
    )
    await this.#waitForStored(call)
    const { view } = this.#viewOf(call, askable)
    const models = new Map<string, Model>()
    const add = (id: string): void => {
      const found = resolveId(id, view, false)
      if (found.kind === 'entry' && !models.has(found.entry.id)) models.set(found.entry.id, toModel(found.entry))
    }
    for (const { model } of this.#aliases.all) add(model.modelId)
    for (const index of view.indices) {
      for (const entry of index.entries) if (!models.has(entry.id) && view.canAccess(entry.id)) models.set(entry.id, toModel(entry))
    }
    for (const id of view.storedIds) add(id)
    return [...models.values()]
  }

  async get(id: string, call: Call): Promise<Model> {
    const found = await this.#resolveEntry(id, call)
    if (found.kind === 'entry') return toModel(found.entry)
    // Only inference uses models that were not listed; but the caller's own key may still list it.
    const instance = this.#providers.get(found.providerId)
    if (instance && this.#callerKeyProviders(call).includes(instance)) {
      await this.#waitAtMost(this.#times.callerListingTimeout, call, [this.#callers.refresh(instance, call)])
      const again = resolveId(id, this.#viewOf(call, [instance]).view, false)
      if (again.kind === 'entry') return toModel(again.entry)
    }
    throw (this.#listings.get(found.providerId)?.tried ?? true) ? modelNotFound(id) : notListedYet(id, [found.providerId])
  }

  async register(body: RegisterModelRequest, call: Call): Promise<Model> {
    const model = checkRegistration(body, [...this.#providers.keys()])
    await this.#waitForStored(call)
    const { view, failure } = this.#viewOf(call, this.#callerKeyProviders(call))
    if (failure) throw failure
    const { modelId, providerId, providerModelId } = model
    const key = call.principal?.key
    if (key && !this.#access.keyAllows(key, modelId)) throw notPermittedForKey(modelId, key.id)
    if (!this.#providers.get(providerId)?.allows(providerModelId) || !view.canAccessTarget(providerId, providerModelId)) {
      throw targetNotFound(model.target, view.denial)
    }
    const alias = this.#aliases.get(modelId)
    const [known] = view.stored(modelId)
    const isKnown =
      view.indices.some((index) => index.byId(modelId) && view.canAccess(modelId)) || (alias && view.canAccess(alias.model.modelId))
    if (isKnown || (known && known.owner?.id !== call.principal?.id)) throw modelAlreadyExists(modelId)
    const found = resolveAlias(await this.#stored.create(call, model), view, false)
    if (found.kind !== 'entry') throw modelNotFound(modelId)
    return toModel(found.entry)
  }

  async unregister(id: string, call: Call): Promise<void> {
    await this.#waitForStored(call)
    const { view } = this.#viewOf(call, this.#callerKeyProviders(call))
    const [model] = view.visible(id)
    if (!model) {
      const shown = await this.get(id, call)
      throw notDeletable(shown.id)
    }
    try {
      await this.#stored.delete(call, model)
    } catch (error) {
      // Deleted concurrently. The error must name the model, not the row's id.
      throw error instanceof ApiError && error.status === 404 ? modelNotFound(id, error.denial) : error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#listings.values()].map((listing) => listing.stop()))
    await this.#callers.stop()
  }

  #startListing(instance: InferenceInstance, refreshInterval: number): void {
    // A provider that has no listing at all has what the operator allows.
    if (instance.provider && !instance.provider.listModels && instance.allowedModels) {
      this.#replaceEntries(instance, toCatalogEntries({ ...this.#entryOptions(instance), models: instance.allowedModels.map(asGuess) }))
    }
    const listing = startListing({
      instance,
      events: this.#events,
      times: this.#times,
      refreshEvery: instance.refreshModels ? refreshInterval : undefined,
      onListed: (models) => this.#replaceEntries(instance, toCatalogEntries({ ...this.#entryOptions(instance), models })),
    })
    this.#listings.set(instance.id, listing)
  }

  #entryOptions(instance: InferenceInstance) {
    return { source: instance, created: this.#created, overrides: this.#overrides.get(instance.id) }
  }

  #replaceEntries(instance: InferenceInstance, entries: readonly CatalogEntry[]): void {
    this.#entries.set(instance.id, entries)
    this.#shared = indexEntries([...this.#providers.keys()].flatMap((id) => this.#entries.get(id) ?? []))
  }

  /** The providers whose models this caller's own keys list. */
  #callerKeyProviders(call: Call): InferenceInstance[] {
    for (const _ in call.providerData) {
      return [...this.#providers.values()].filter(({ provider }) => provider?.listModels && provider.acceptsKeyOf?.(call))
    }
    return []
  }

  /** `failure`: why it cannot be said what is registered. */
  #viewOf(call: Call, callerKeyProviders: readonly InferenceInstance[]): { view: VisibleModels; failure: ApiError | undefined } {
    const own = callerKeyProviders.map((instance) => this.#callers.peek(instance, call)).filter((index) => index !== undefined)
    const providers = new Map<string, ResolvableProvider>()
    for (const [id, instance] of this.#providers) {
      const { awaited = false, tried = true } = this.#listings.get(id) ?? {}
      providers.set(id, {
        id,
        allows: (upstreamId) => instance.allows(upstreamId),
        serves: instance.provider?.hasOwnKey ?? false,
        awaited,
        mayChange: !tried || (callerKeyProviders.includes(instance) && this.#callers.mayChange(instance, call)),
        listed: this.#entries.has(id),
        down: tried && !this.#entries.has(id) && isListable(instance),
      })
    }
    const { registered, failure } = this.#registeredNow()
    const indices = own.length > 0 ? [this.#shared, ...own] : [this.#shared]
    const { principal } = call
    return { view: new VisibleModels({ providers, indices, aliases: this.#aliases, registered, access: this.#access, principal }), failure }
  }

  #registeredNow(): { registered?: StoredIndex; failure?: ApiError } {
    try {
      return { registered: this.#stored.current() }
    } catch (error) {
      // What does not depend on it goes on.
      if (error instanceof ApiError) return { failure: error }
      throw error
    }
  }

  async #waitForStored(call: Call): Promise<void> {
    if (!this.#storedIsRead) await this.#waitAtMost(this.#times.firstListingTimeout, call, [this.#stored.ready])
  }

  /** The common case: a model of the shared catalogue by its own id, which this caller may use. */
  #sharedEntry(id: string, call: Call): CatalogEntry | undefined {
    const entry = this.#shared.byId(id)
    return entry && !this.#access.denial(call.principal, entry.id) ? entry : undefined
  }

  /** Resolves an id for this caller, waiting for listings where needed. Throws unless there is exactly one result. */
  async #resolveEntry(id: string, call: Call): Promise<Extract<Resolution, { kind: 'entry' | 'unlisted' }>> {
    const entry = this.#sharedEntry(id, call)
    if (entry) return { kind: 'entry', entry }
    const callerKeyProviders = this.#callerKeyProviders(call)
    await this.#waitForStored(call)
    let { view, failure } = this.#viewOf(call, callerKeyProviders)
    let found = resolveId(id, view, true)
    if (found.kind === 'awaited') {
      await this.#waitFor(found.providerIds, callerKeyProviders, call)
      ;({ view, failure } = this.#viewOf(call, callerKeyProviders))
      found = resolveId(id, view, false)
    }
    if (found.kind === 'entry' || found.kind === 'unlisted') return found
    if (found.kind === 'ambiguous') {
      const ids = found.ids.map((one) => `'${shortened(one)}'`).join(', ')
      throw invalidRequest(`Several providers serve a model '${shortened(id)}'. Use one of: ${ids}.`, {
        code: 'model_ambiguous',
        param: 'model',
      })
    }
    if (found.kind === 'absent') throw failure ?? modelNotFound(id, view.denial)
    throw notListedYet(id, found.providerIds)
  }

  async #waitFor(providerIds: readonly string[], callerKeyProviders: readonly InferenceInstance[], call: Call): Promise<void> {
    const own = callerKeyProviders.filter(({ id }) => providerIds.includes(id)).map((instance) => this.#callers.refresh(instance, call))
    const shared = providerIds.flatMap((id) => this.#listings.get(id)?.notAwaited ?? [])
    await Promise.all([
      this.#waitAtMost(this.#times.callerListingTimeout, call, own),
      this.#waitAtMost(this.#times.firstListingTimeout, call, shared),
    ])
  }

  async #waitAtMost(milliseconds: number, call: Call, work: readonly Promise<void>[]): Promise<void> {
    if (work.length === 0) return
    const over = new AbortController()
    await Promise.race([
      Promise.all(work),
      sleep(milliseconds, { signal: AbortSignal.any([call.signal, over.signal]), timer: startBackgroundTimer }),
    ])
    over.abort()
    call.signal.throwIfAborted()
  }

  #target(providerId: string, upstreamId: string, { id, operation }: { id: string; operation: Operation }): Target {
    const instance = this.#providers.get(providerId)
    const provider = instance?.provider
    if (!provider) throw providerNotStarted(providerId)
    const invoke = provider.invoke[operation.name]
    if (!invoke) throw operationNotSupported(providerId, id, operation.name)
    return {
      providerId,
      providerName: instance.genAiName,
      model: upstreamId,
      catalogueId: this.#catalogueIdOf(providerId, upstreamId),
      invoke,
      formats: provider.formats?.[operation.name],
      checkFallbacks: this.#fallbackChecks.get(provider) ?? this.#addFallbackCheck(instance, provider),
    }
  }

  #addFallbackCheck(instance: InferenceInstance, { fallbackModels }: InferenceProvider): FallbackCheck | undefined {
    if (!fallbackModels || !instance.provider) return undefined
    const check = fallbackCheck(fallbackModels, (named, call) => this.#checkFallback(instance, named, call))
    this.#fallbackChecks.set(instance.provider, check)
    return check
  }

  #checkFallback(instance: InferenceInstance, { id, field }: NamedFallback, call: Call): string {
    const { view } = this.#viewOf(call, this.#callerKeyProviders(call))
    if (!instance.allows(id) || !view.canAccessTarget(instance.id, id)) throw modelNotFound(id, view.denial, field)
    return this.#catalogueIdOf(instance.id, id)
  }

  #catalogueIdOf(providerId: string, upstreamId: string): string {
    return this.#shared.ofProvider(providerId, upstreamId)?.id ?? catalogueId(providerId, upstreamId)
  }
}

function asGuess(id: string) {
  return { id, type: 'llm', typeIsGuess: true, metadata: {} } as const
}
