import { defaultAccessPolicy } from '../access/access-policy.ts'
import type { Call } from '../call.ts'
import { ApiError, invalidRequest, shortened } from '../errors.ts'
import type { Capability, InferenceProvider, ModelType } from '../providers/provider.ts'
import type { Model } from '../schemas/models.ts'
import type { Events } from '../telemetry/events.ts'
import { createCallerListings, usualCallerLimits, type CallerListings } from './caller-listings.ts'
import type { CatalogTimes, ModelCatalog, ModelCatalogOptions, ResolvedModel } from './catalog.ts'
import { isListable, sleep, startListing, usualListingTimes, type Listing } from './listing.ts'
import { type CheckFurther, checkingFurther, type Invoker, type NamedFurther } from './further-models.ts'
import { whatIsKnownBetter } from './known-better.ts'
import { ModelAccess } from './model-access.ts'
import {
  absent,
  alreadyThere,
  noDatabase,
  notCapable,
  notDeletable,
  notForKey,
  notListedYet,
  notStarted,
  noTarget,
} from './model-errors.ts'
import { catalogueId, indexOffers, toOffers, type KnownBetter, type Offer, type OfferIndex } from './offers.ts'
import type { LiveProvider } from './providers.ts'
import { checkRegistration, type WantedModel } from './registration.ts'
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
import { toModel } from './shown-model.ts'
import { CallerSight } from './sight.ts'
import type { StoredIndex, StoredModels } from './stored-models.ts'

export type { CatalogTimes, ModelCatalog, ModelCatalogOptions, ResolvedModel } from './catalog.ts'

/** What a model must be for a capability. */
const typeFor: Readonly<Record<Capability, ModelType>> = { chat: 'llm', completions: 'llm', embeddings: 'embedding', rerank: 'rerank' }

/** The catalogue of every provider's models. Listing starts now, in the background. */
export function createModelCatalog(options: ModelCatalogOptions): ModelCatalog & AsyncDisposable {
  return new Catalog(options)
}

class Catalog implements ModelCatalog, AsyncDisposable {
  readonly #providers: ReadonlyMap<string, LiveProvider>
  readonly #aliases: Aliases
  readonly #knownBetter: ReadonlyMap<string, KnownBetter>
  readonly #created = Math.floor(Date.now() / 1000)
  readonly #times: CatalogTimes
  readonly #events: Events
  readonly #callers: CallerListings
  readonly #access: ModelAccess
  readonly #stored: StoredModels | undefined
  #storedIsRead = false
  /** Made once for each provider and capability. */
  readonly #invokers = new WeakMap<InferenceProvider, Partial<Record<Capability, Invoker>>>()
  readonly #listings = new Map<string, Listing>()
  /** The shared catalogue's parts; replaced whole, each with its provider's next listing. */
  readonly #offers = new Map<string, readonly Offer[]>()
  /** The shared catalogue. One assignment replaces it, so that no request meets a gap. */
  #shared: OfferIndex = indexOffers([])

  constructor(options: ModelCatalogOptions) {
    this.#events = options.events
    this.#access = new ModelAccess(options.policy ?? defaultAccessPolicy)
    this.#stored = options.stored
    void this.#stored?.ready.then(() => (this.#storedIsRead = true))
    this.#times = { ...usualListingTimes, firstListing: 1_000, callerListing: 1_000, ...options.times }
    const inference = options.providers.all.filter(({ api }) => api === 'inference')
    this.#providers = new Map(inference.map((live) => [live.id, live]))
    this.#aliases = toAliases({
      registered: options.registered,
      providerIds: [...this.#providers.keys()],
      created: this.#created,
      warn: (message) => this.#events.warning(message),
    })
    this.#knownBetter = whatIsKnownBetter(this.#aliases)
    this.#callers = createCallerListings({
      limits: { ...usualCallerLimits, ...options.callerLimits },
      created: this.#created,
      knownBetter: (id) => this.#knownBetter.get(id),
      // A caller's bad key is the caller's to know, when it is used.
      onFailure: (provider, error) => {
        if (!(error instanceof ApiError && [401, 403].includes(error.status))) this.#events.listingFailed(provider, error)
      },
    })
    for (const live of inference) this.#startListing(live, options.refreshInterval * 1000)
  }

  get awaited(): readonly string[] {
    return [...this.#listings].filter(([, listing]) => listing.awaited).map(([id]) => id)
  }

  catalogued(told: string): string | undefined {
    const exact = this.#shared.byId(told) ?? this.#aliases.get(told)
    if (exact) return 'id' in exact ? exact.id : exact.model.modelId
    const slash = told.indexOf('/')
    const prefixed = slash > 0 ? this.#shared.ofProvider(told.slice(0, slash), told.slice(slash + 1)) : undefined
    if (prefixed) return prefixed.id
    const [only, ...others] = this.#shared.byUpstreamId(told)
    return others.length === 0 ? only?.id : undefined
  }

  cataloguedTarget(providerId: string, upstreamId: string): string | undefined {
    const listed = this.#shared.ofProvider(providerId, upstreamId)
    if (listed) return listed.id
    const isTarget = (alias: Alias): boolean =>
      (alias.providerId === undefined || alias.providerId === providerId) && upstreamOf(alias.model) === upstreamId
    const id = catalogueId(providerId, upstreamId)
    if (this.#aliases.all.some(isTarget)) return id
    // A provider that lists its models vouches for names; a caller who registers one of another provider is believed.
    return !this.#offers.has(providerId) && this.#registeredNow().registered?.all.some(isTarget) ? id : undefined
  }

  resolve<C extends Capability>(id: string, capability: C, call: Call): ResolvedModel<C> | Promise<ResolvedModel<C>> {
    if (call.notes) call.notes.model = id
    const offer = this.#listed(id, call)
    return offer ? this.#offered(offer, id, capability) : this.#resolveLater(id, capability, call)
  }

  async #resolveLater<C extends Capability>(id: string, capability: C, call: Call): Promise<ResolvedModel<C>> {
    const found = await this.#find(id, call)
    if (found.kind === 'unlisted') return this.#bind(found.providerId, found.upstreamId, { id, capability })
    return this.#offered(found.offer, id, capability)
  }

  #offered<C extends Capability>(offer: Offer, id: string, capability: C): ResolvedModel<C> {
    const needed = typeFor[capability]
    if (offer.type !== needed && !offer.typeIsGuess) {
      throw invalidRequest(`Model '${shortened(id)}' is of type '${offer.type}'; ${capability} needs a model of type '${needed}'.`, {
        param: 'model',
      })
    }
    return this.#bind(offer.providerId, offer.upstreamId, { id, capability })
  }

  async list(call: Call): Promise<Model[]> {
    const askable = this.#ofCaller(call)
    await this.#atMost(
      this.#times.callerListing,
      call,
      askable.map((live) => this.#callers.ask(live, call)),
    )
    await this.#readStored(call)
    const { sight } = this.#sight(call, askable)
    const models = new Map<string, Model>()
    const add = (id: string): void => {
      const found = resolveId(id, sight, false)
      if (found.kind === 'offer' && !models.has(found.offer.id)) models.set(found.offer.id, toModel(found.offer))
    }
    for (const { model } of this.#aliases.all) add(model.modelId)
    for (const index of sight.indices) {
      for (const offer of index.offers) if (!models.has(offer.id) && sight.sees(offer.id)) models.set(offer.id, toModel(offer))
    }
    for (const id of sight.storedIds) add(id)
    return [...models.values()]
  }

  async get(id: string, call: Call): Promise<Model> {
    const found = await this.#find(id, call)
    if (found.kind === 'offer') return toModel(found.offer)
    // Only inference goes to a model that nobody has listed; but the caller's own key may still list it.
    const live = this.#providers.get(found.providerId)
    if (live && this.#ofCaller(call).includes(live)) {
      await this.#atMost(this.#times.callerListing, call, [this.#callers.ask(live, call)])
      const again = resolveId(id, this.#sight(call, [live]).sight, false)
      if (again.kind === 'offer') return toModel(again.offer)
    }
    throw (this.#listings.get(found.providerId)?.tried ?? true) ? absent(id) : notListedYet(id, [found.providerId])
  }

  async register(wanted: WantedModel, call: Call): Promise<Model> {
    const stored = this.#stored
    if (!stored) throw noDatabase()
    const model = checkRegistration(wanted, [...this.#providers.keys()])
    await this.#readStored(call)
    const { sight, failure } = this.#sight(call, this.#ofCaller(call))
    if (failure) throw failure
    const { modelId, providerId, providerModelId } = model
    const key = call.principal?.key
    if (key && !this.#access.keyAllows(key, modelId)) throw notForKey(modelId, key.id)
    if (!this.#providers.get(providerId)?.allows(providerModelId) || !sight.seesTarget(providerId, providerModelId)) {
      throw noTarget(model.target, sight.denial)
    }
    const alias = this.#aliases.get(modelId)
    const [known] = sight.stored(modelId)
    const isKnown = sight.indices.some((index) => index.byId(modelId) && sight.sees(modelId)) || (alias && sight.sees(alias.model.modelId))
    if (isKnown || (known && known.owner?.id !== call.principal?.id)) throw alreadyThere(modelId)
    const found = resolveAlias(await stored.create(call, model), sight, false)
    if (found.kind !== 'offer') throw absent(modelId)
    return toModel(found.offer)
  }

  async unregister(id: string, call: Call): Promise<void> {
    await this.#readStored(call)
    const { sight } = this.#sight(call, this.#ofCaller(call))
    const [model] = sight.visible(id)
    if (!model || !this.#stored) {
      const shown = await this.get(id, call)
      throw notDeletable(shown.id)
    }
    try {
      await this.#stored.delete(call, model)
    } catch (error) {
      // Somebody else was quicker. Callers know models by name: the row's id is nobody's business.
      throw error instanceof ApiError && error.status === 404 ? absent(id, error.denial) : error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#listings.values()].map((listing) => listing.stop()))
    await this.#callers.stop()
  }

  #startListing(live: LiveProvider, refreshInterval: number): void {
    // A provider that has no listing at all has what the operator allows.
    if (live.provider && !live.provider.listModels && live.allowedModels) {
      this.#take(live, toOffers({ ...this.#offerOptions(live), models: live.allowedModels.map(asGuess) }))
    }
    const listing = startListing({
      live,
      events: this.#events,
      times: this.#times,
      refreshEvery: live.refreshModels ? refreshInterval : undefined,
      onListed: (models) => this.#take(live, toOffers({ ...this.#offerOptions(live), models })),
    })
    this.#listings.set(live.id, listing)
  }

  #offerOptions(live: LiveProvider) {
    return { source: live, created: this.#created, knownBetter: this.#knownBetter.get(live.id) }
  }

  #take(live: LiveProvider, offers: readonly Offer[]): void {
    this.#offers.set(live.id, offers)
    this.#shared = indexOffers([...this.#providers.keys()].flatMap((id) => this.#offers.get(id) ?? []))
  }

  /** The providers whose models this caller's own keys list. */
  #ofCaller(call: Call): LiveProvider[] {
    for (const _ in call.providerData) {
      return [...this.#providers.values()].filter(({ provider }) => provider?.listModels && provider.acceptsKeyOf?.(call))
    }
    return []
  }

  /** `failure`: why it cannot be said what is registered. */
  #sight(call: Call, ofCaller: readonly LiveProvider[]): { sight: CallerSight; failure: ApiError | undefined } {
    const own = ofCaller.map((live) => this.#callers.peek(live, call)).filter((index) => index !== undefined)
    const providers = new Map<string, ResolvableProvider>()
    for (const [id, live] of this.#providers) {
      const { awaited = false, tried = true } = this.#listings.get(id) ?? {}
      providers.set(id, {
        id,
        allows: (upstreamId) => live.allows(upstreamId),
        serves: live.provider?.hasOwnKey ?? false,
        awaited,
        unsure: !tried || (ofCaller.includes(live) && this.#callers.unsure(live, call)),
        listed: this.#offers.has(id),
        down: tried && !this.#offers.has(id) && isListable(live),
      })
    }
    const { registered, failure } = this.#registeredNow()
    const indices = own.length > 0 ? [this.#shared, ...own] : [this.#shared]
    const { principal } = call
    return { sight: new CallerSight({ providers, indices, aliases: this.#aliases, registered, access: this.#access, principal }), failure }
  }

  #registeredNow(): { registered?: StoredIndex; failure?: ApiError } {
    try {
      return this.#stored ? { registered: this.#stored.current() } : {}
    } catch (error) {
      // What does not depend on it goes on.
      if (error instanceof ApiError) return { failure: error }
      throw error
    }
  }

  async #readStored(call: Call): Promise<void> {
    if (this.#stored && !this.#storedIsRead) await this.#atMost(this.#times.firstListing, call, [this.#stored.ready])
  }

  /** What nearly every request asks for: a model of the shared catalogue by its own id, which this caller may use. */
  #listed(id: string, call: Call): Offer | undefined {
    const offer = this.#shared.byId(id)
    return offer && !this.#access.denial(call.principal, offer.id) ? offer : undefined
  }

  /** What an id means for this caller, after the waits that it takes to know. Throws unless there is exactly one answer. */
  async #find(id: string, call: Call): Promise<Extract<Resolution, { kind: 'offer' | 'unlisted' }>> {
    const offer = this.#listed(id, call)
    if (offer) return { kind: 'offer', offer }
    const ofCaller = this.#ofCaller(call)
    await this.#readStored(call)
    let { sight, failure } = this.#sight(call, ofCaller)
    let found = resolveId(id, sight, true)
    if (found.kind === 'awaited') {
      await this.#waitFor(found.providerIds, ofCaller, call)
      ;({ sight, failure } = this.#sight(call, ofCaller))
      found = resolveId(id, sight, false)
    }
    if (found.kind === 'offer' || found.kind === 'unlisted') return found
    if (found.kind === 'ambiguous') {
      const ids = found.ids.map((one) => `'${shortened(one)}'`).join(', ')
      throw invalidRequest(`Several providers have a model '${shortened(id)}'. Ask for one of them by name: ${ids}.`, {
        code: 'model_ambiguous',
        param: 'model',
      })
    }
    if (found.kind === 'absent') throw failure ?? absent(id, sight.denial)
    throw notListedYet(id, found.providerIds)
  }

  async #waitFor(providerIds: readonly string[], ofCaller: readonly LiveProvider[], call: Call): Promise<void> {
    const own = ofCaller.filter(({ id }) => providerIds.includes(id)).map((live) => this.#callers.ask(live, call))
    const shared = providerIds.flatMap((id) => this.#listings.get(id)?.notAwaited ?? [])
    await Promise.all([this.#atMost(this.#times.callerListing, call, own), this.#atMost(this.#times.firstListing, call, shared)])
  }

  async #atMost(milliseconds: number, call: Call, work: readonly Promise<void>[]): Promise<void> {
    if (work.length === 0) return
    const over = new AbortController()
    await Promise.race([Promise.all(work), sleep(milliseconds, AbortSignal.any([call.signal, over.signal]))])
    over.abort()
    call.signal.throwIfAborted()
  }

  #bind<C extends Capability>(providerId: string, upstreamId: string, asked: { id: string; capability: C }): ResolvedModel<C> {
    const live = this.#providers.get(providerId)
    if (!live?.provider) throw notStarted(providerId)
    const invoke = this.#invokerOf(live, live.provider, asked.capability)
    if (!invoke) throw notCapable(providerId, asked.id, asked.capability)
    return { invoke, model: upstreamId, providerId, catalogueId: this.#cataloguedOf(providerId, upstreamId) }
  }

  #invokerOf(live: LiveProvider, provider: InferenceProvider, capability: Capability): Invoker | undefined {
    let invokers = this.#invokers.get(provider)
    if (!invokers) this.#invokers.set(provider, (invokers = {}))
    const known = invokers[capability]
    if (known) return known
    const invoke = provider[capability] as Invoker | undefined
    if (!invoke) return undefined
    const check: CheckFurther = (named, call) => this.#checkFurther(live, named, call)
    return (invokers[capability] = checkingFurther(invoke.bind(provider), provider.furtherModels, check))
  }

  #checkFurther(live: LiveProvider, { id, field }: NamedFurther, call: Call): string {
    const { sight } = this.#sight(call, this.#ofCaller(call))
    if (!live.allows(id) || !sight.seesTarget(live.id, id)) throw absent(id, sight.denial, field)
    return this.#cataloguedOf(live.id, id)
  }

  #cataloguedOf(providerId: string, upstreamId: string): string {
    return this.#shared.ofProvider(providerId, upstreamId)?.id ?? catalogueId(providerId, upstreamId)
  }
}

function asGuess(id: string) {
  return { id, type: 'llm', typeIsGuess: true, metadata: {} } as const
}
