import type { Call } from '../call.ts'
import type { RegisteredModel } from '../config/config.ts'
import { ApiError, invalidRequest, notFound, shortened, unavailable } from '../errors.ts'
import type { Capability, InferenceProvider, ModelType } from '../providers/provider.ts'
import type { Model } from '../schemas/models.ts'
import type { Events } from '../telemetry/events.ts'
import { createCallerListings, usualCallerLimits, type CallerListingLimits, type CallerListings } from './caller-listings.ts'
import { isListable, sleep, startListing, usualListingTimes, type Listing, type ListingTimes } from './listing.ts'
import { indexOffers, toOffers, type KnownBetter, type Offer, type OfferIndex } from './offers.ts'
import type { LiveProvider, ProviderRegistry } from './providers.ts'
import { resolveId, toAliases, upstreamOf, type Aliases, type Resolution, type ResolvableProvider, type Sight } from './resolve.ts'

/** A model that may be called: the capability, bound to its provider and metered, and the upstream's id. */
export interface ResolvedModel<C extends Capability> {
  readonly invoke: NonNullable<InferenceProvider[C]>
  /** The upstream's id. */
  readonly model: string
  readonly providerId: string
}

export interface ModelCatalog {
  /**
   * The one look-up: which model an id means is told at `resolveId` (`registry/resolve.ts`).
   * Throws 404 (absent, or outside `allowed_models`), 400 (several providers have it; it is of another type; the provider lacks the capability),
   * 503 with Retry-After (a provider's first listing has not been tried yet, or the provider could not be started).
   */
  resolve<C extends Capability>(id: string, capability: C, call: Call): Promise<ResolvedModel<C>>
  /** What is known now: waits for no provider, and at most a second for what the caller's own keys list. */
  list(call: Call): Promise<Model[]>
  /** One model of the list, by its id or any other that resolves to it. Throws as `resolve` does. */
  get(id: string, call: Call): Promise<Model>
  /** The providers whose first listing is still awaited. */
  readonly awaited: readonly string[]
}

/** Milliseconds. */
export interface CatalogTimes extends ListingTimes {
  /** How long a request waits for a first listing before it gets 503. */
  firstListing: number
  /** How long a request waits for what the caller's own keys list. */
  callerListing: number
}

export interface ModelCatalogOptions {
  providers: ProviderRegistry
  registered: readonly RegisteredModel[]
  events: Events
  /** Seconds between two listings of providers with `refresh_models`. */
  refreshInterval: number
  times?: Partial<CatalogTimes>
  callerLimits?: Partial<CallerListingLimits>
}

/** What a model must be for a capability. */
const typeFor: Readonly<Record<Capability, ModelType>> = { chat: 'llm', completions: 'llm', embeddings: 'embedding', rerank: 'rerank' }

/** Seconds after which a caller may try again what is not known yet. */
const tryAgainIn = 2
/** And a provider that could not be started: only a changed configuration helps. */
const tryStartedAgainIn = 60

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
  readonly #listings = new Map<string, Listing>()
  /** The shared catalogue's parts; replaced whole, each with its provider's next listing. */
  readonly #offers = new Map<string, readonly Offer[]>()
  /** The shared catalogue. One assignment replaces it, so that no request meets a gap. */
  #shared: OfferIndex = indexOffers([])

  constructor(options: ModelCatalogOptions) {
    this.#events = options.events
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

  async resolve<C extends Capability>(id: string, capability: C, call: Call): Promise<ResolvedModel<C>> {
    if (call.notes) call.notes.model = id
    const found = await this.#find(id, call)
    if (found.kind === 'unlisted') return this.#bind(found.providerId, found.upstreamId, { id, capability })
    const { offer } = found
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
    const sight = this.#sight(call, askable)
    const models = new Map<string, Model>()
    for (const { model } of this.#aliases.all) {
      const found = resolveId(model.modelId, sight, false)
      if (found.kind === 'offer') models.set(found.offer.id, toModel(found.offer))
    }
    for (const index of sight.indices) {
      for (const offer of index.offers) if (!models.has(offer.id)) models.set(offer.id, toModel(offer))
    }
    return [...models.values()]
  }

  async get(id: string, call: Call): Promise<Model> {
    const found = await this.#find(id, call)
    if (found.kind === 'offer') return toModel(found.offer)
    // Only inference goes to a model that nobody has listed; but the caller's own key may still list it.
    const live = this.#providers.get(found.providerId)
    if (live && this.#ofCaller(call).includes(live)) {
      await this.#atMost(this.#times.callerListing, call, [this.#callers.ask(live, call)])
      const again = resolveId(id, this.#sight(call, [live]), false)
      if (again.kind === 'offer') return toModel(again.offer)
    }
    throw (this.#listings.get(found.providerId)?.tried ?? true) ? absent(id) : notListedYet(id, [found.providerId])
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

  #sight(call: Call, ofCaller: readonly LiveProvider[]): Sight {
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
    return { providers, indices: own.length > 0 ? [this.#shared, ...own] : [this.#shared], aliases: this.#aliases }
  }

  /** What an id means for this caller, after the waits that it takes to know. Throws unless there is exactly one answer. */
  async #find(id: string, call: Call): Promise<Extract<Resolution, { kind: 'offer' | 'unlisted' }>> {
    // Nearly every request ends here.
    const offer = this.#shared.byId(id)
    if (offer) return { kind: 'offer', offer }
    const ofCaller = this.#ofCaller(call)
    let found = resolveId(id, this.#sight(call, ofCaller), true)
    if (found.kind === 'awaited') {
      await this.#waitFor(found.providerIds, ofCaller, call)
      found = resolveId(id, this.#sight(call, ofCaller), false)
    }
    if (found.kind === 'offer' || found.kind === 'unlisted') return found
    if (found.kind === 'ambiguous') {
      const ids = found.ids.map((one) => `'${shortened(one)}'`).join(', ')
      throw invalidRequest(`Several providers have a model '${shortened(id)}'. Ask for one of them by name: ${ids}.`, {
        code: 'model_ambiguous',
        param: 'model',
      })
    }
    if (found.kind === 'absent') throw absent(id)
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
    const provider = this.#providers.get(providerId)?.provider
    if (!provider)
      throw unavailable(`Provider '${providerId}' could not be started; GET /v1/providers/${providerId} says why.`, tryStartedAgainIn)
    const invoke = provider[asked.capability]
    if (!invoke) {
      throw invalidRequest(
        `Provider '${providerId}', which has the model '${shortened(asked.id)}', does not support ${asked.capability}.`,
        {
          param: 'model',
        },
      )
    }
    return { invoke: invoke.bind(provider) as NonNullable<InferenceProvider[C]>, model: upstreamId, providerId }
  }
}

function absent(id: string) {
  return notFound('Model', id, { code: 'model_not_found', param: 'model' })
}

function notListedYet(id: string, providerIds: readonly string[]) {
  const waiting = providerIds.map((one) => `'${one}'`).join(', ')
  return unavailable(
    `Whether there is a model '${shortened(id)}' is not known yet: the models of ${waiting} could not be listed yet.`,
    tryAgainIn,
    { code: 'models_not_listed_yet', param: 'model' },
  )
}

function asGuess(id: string) {
  return { id, type: 'llm', typeIsGuess: true, metadata: {} } as const
}

/** What registered models say of models that their provider lists as well. */
function whatIsKnownBetter(aliases: Aliases): Map<string, KnownBetter> {
  const known = new Map<string, Map<string, { type: ModelType; metadata: RegisteredModel['metadata'] }>>()
  for (const { model, providerId } of aliases.all) {
    if (providerId === undefined || model.providerModelId === 'auto') continue
    const ofProvider = known.get(providerId) ?? new Map()
    known.set(providerId, ofProvider)
    if (!ofProvider.has(upstreamOf(model))) ofProvider.set(upstreamOf(model), { type: model.type, metadata: model.metadata })
  }
  return known
}

/** With OpenAI's keys and Llama Stack's, old and new, side by side. */
function toModel(offer: Offer): Model {
  const { id, providerId, upstreamId, type, metadata } = offer
  return {
    id,
    object: 'model',
    created: offer.created,
    owned_by: offer.ownedBy,
    identifier: id,
    provider_id: providerId,
    provider_resource_id: upstreamId,
    type: 'model',
    model_type: type,
    metadata: { ...metadata },
    custom_metadata: { ...metadata, model_type: type, provider_id: providerId, provider_resource_id: upstreamId },
  }
}
