import type { ListedModel, ModelType } from '../providers/provider.ts'

/** A model as one provider offers it, under its id in the catalogue. */
export interface Offer {
  /** `provider_id/model`; the provider's own id where that begins so already. */
  readonly id: string
  readonly providerId: string
  /** The provider's own id. */
  readonly upstreamId: string
  readonly type: ModelType
  readonly typeIsGuess: boolean
  readonly metadata: Readonly<Record<string, unknown>>
  /** Unix seconds. */
  readonly created: number
  readonly ownedBy: string
}

/** What is needed of a provider to turn its listing into offers. */
export interface OfferSource {
  readonly id: string
  allows(upstreamId: string): boolean
}

/** What the operator's configuration knows better than a listing: the type and metadata of a model, by the provider's own id. */
export type KnownBetter = ReadonlyMap<string, { readonly type: ModelType; readonly metadata: Readonly<Record<string, unknown>> }>

export interface OfferOptions {
  readonly source: OfferSource
  readonly models: readonly ListedModel[]
  /** For models whose provider does not say when they were created, Unix seconds. */
  readonly created: number
  readonly knownBetter?: KnownBetter | undefined
}

/** Under which id a provider's model stands in the catalogue, as far as its own id tells. */
export function catalogueId(providerId: string, upstreamId: string): string {
  const prefix = `${providerId}/`
  return upstreamId.startsWith(prefix) && upstreamId !== prefix ? upstreamId : prefix + upstreamId
}

/** A listing as offers: filtered by `allowed_models`, each upstream id once, each catalogue id once. */
export function toOffers({ source, models, created, knownBetter }: OfferOptions): Offer[] {
  const offers = new Map<string, Offer>()
  const own = new Set(models.map(({ id }) => id))
  const prefix = `${source.id}/`
  for (const model of models) {
    if (model.id === '' || offers.has(model.id) || !source.allows(model.id)) continue
    // Not doubled: Groq's own `groq/compound` stays so. Unless the provider has `compound` as well, which then needs the short form.
    const prefixed = model.id.startsWith(prefix) && model.id !== prefix && !own.has(model.id.slice(prefix.length))
    const known = knownBetter?.get(model.id)
    const told = known && known.type !== 'llm'
    offers.set(model.id, {
      id: prefixed ? model.id : prefix + model.id,
      providerId: source.id,
      upstreamId: model.id,
      type: told ? known.type : model.type,
      typeIsGuess: !told && model.typeIsGuess === true,
      metadata: known ? { ...model.metadata, ...known.metadata } : model.metadata,
      created: Number.isFinite(model.created) ? Math.floor(model.created as number) : created,
      ownedBy: model.owned_by ?? source.id,
    })
  }
  return [...offers.values()]
}

/** Offers, found by every way that resolution goes. Never changed: a new listing makes a new index. */
export interface OfferIndex {
  readonly offers: readonly Offer[]
  byId(id: string): Offer | undefined
  /** Every provider's offer whose own id is this. */
  byUpstreamId(id: string): readonly Offer[]
  ofProvider(providerId: string, upstreamId: string): Offer | undefined
  /** A provider's first model of a type, in the provider's order. */
  firstOf(providerId: string, type: ModelType): Offer | undefined
}

/** Where two providers' catalogue ids are the same, the first one's counts. */
export function indexOffers(offers: readonly Offer[]): OfferIndex {
  const byId = new Map<string, Offer>()
  const byUpstreamId = new Map<string, Offer[]>()
  const firsts = new Map<string, Offer>()
  for (const offer of offers) {
    if (!byId.has(offer.id)) byId.set(offer.id, offer)
    const alike = byUpstreamId.get(offer.upstreamId)
    if (alike) alike.push(offer)
    else byUpstreamId.set(offer.upstreamId, [offer])
    const first = `${offer.type}:${offer.providerId}`
    if (!firsts.has(first)) firsts.set(first, offer)
  }
  return {
    offers,
    byId: (id) => byId.get(id),
    byUpstreamId: (id) => byUpstreamId.get(id) ?? [],
    ofProvider: (providerId, upstreamId) => byUpstreamId.get(upstreamId)?.find((offer) => offer.providerId === providerId),
    firstOf: (providerId, type) => firsts.get(`${type}:${providerId}`),
  }
}
