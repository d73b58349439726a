import type { PriceOverride } from './config.ts'
import type { Operation } from '../operations/operation.ts'
import { compileWildcard } from './patterns.ts'
import { loadPriceCatalogue, type PriceCatalogue } from './prices-catalogue.ts'
import { flatRate, freeOfCharge, type Rate, type Rates } from './prices-rates.ts'

/** How a provider’s responses are priced: data of its definition. */
export interface ProviderPricing {
  /** The vendor’s name in the price catalogue. Absent: it has no list there, and prices come from the configuration only. */
  readonly catalogue?: string
  /** The catalogue’s name of a model, where it differs from the provider’s id. */
  readonly modelOf?: (upstreamId: string) => string
  /** It runs on the operator’s machines: its tokens are free, unless the configuration sets a price. */
  readonly local?: boolean
  /** Its responses report their cost in US dollars (`usage.cost` and others), which takes precedence over the catalogue. */
  readonly reportsCost?: boolean
}

/** The price of one model. */
export interface Price {
  /** Absent: only the provider’s reported cost will be known. */
  readonly rates: Rates | undefined
  /** Whether a reported cost takes precedence. */
  readonly reported: boolean
}

interface PriceQuery {
  /** A model without an output price has no price for an operation that generates text. */
  readonly operation: Pick<Operation, 'producesText'>
  readonly provider: string
  readonly upstreamModel: string
  /** The catalogue’s id. */
  readonly model: string
}

export interface Prices {
  /** Undefined: no price is known. A promise only before the catalogue is loaded. */
  find(query: PriceQuery): Price | undefined | Promise<Price | undefined>
}

export interface PricesOptions {
  /** Of the configuration; the first match applies. */
  overrides: readonly PriceOverride[]
  /** By provider id; other providers have no prices but the configuration’s. */
  providers: ReadonlyMap<string, ProviderPricing | undefined>
  /** Unix milliseconds. */
  now?: () => number
  load?: () => Promise<PriceCatalogue>
  /** Called when the catalogue cannot be loaded: its models then have no price. */
  onFailure?: (error: unknown) => void
}

interface CachedPrice {
  readonly price: Price | undefined
  /** Unix milliseconds. */
  readonly until: number
}

/** Models cached for one provider: callers can name models that no listing has. */
const maxModels = 2_000
/** Catalogue ids cached for one model, each of which may have its own price. */
const maxIds = 20

/** Finds prices: the configuration’s, else none for local providers, else the catalogue’s. Cached by provider and model. */
export function createPrices(options: PricesOptions): Prices {
  const { overrides, providers, now = Date.now, load = loadPriceCatalogue, onFailure } = options
  const configured = overrides.map(compileOverride)
  /** By provider, by its own id of a model, by the catalogue’s id. */
  const cache = new Map<string, Map<string, Map<string, CachedPrice>>>()
  let catalogue: PriceCatalogue | undefined
  let loading: Promise<PriceCatalogue> | undefined

  const remember = (query: PriceQuery, price: Price | undefined, until = Infinity): Price | undefined => {
    let models = cache.get(query.provider)
    if (!models || models.size >= maxModels) cache.set(query.provider, (models = new Map()))
    let ids = models.get(query.upstreamModel)
    if (!ids || ids.size >= maxIds) models.set(query.upstreamModel, (ids = new Map()))
    ids.set(query.model, { price, until })
    return applicablePrice(price, query)
  }

  const fromCatalogue = (query: PriceQuery, pricing: ProviderPricing, list: PriceCatalogue): Price | undefined => {
    const { catalogue: vendor, modelOf, reportsCost = false } = pricing
    const { upstreamModel } = query
    const found = vendor === undefined ? undefined : list.find(vendor, modelOf?.(upstreamModel) ?? upstreamModel, now())
    const price = found || reportsCost ? { rates: found?.rates, reported: reportsCost } : undefined
    return remember(query, price, found?.until)
  }

  const resolve = (query: PriceQuery): Price | undefined | Promise<Price | undefined> => {
    const own = configured.find((one) => one.matches(query))
    if (own) return remember(query, own.price)
    const pricing = providers.get(query.provider)
    if (pricing?.local) return remember(query, { rates: freeOfCharge, reported: false })
    if (!pricing) return remember(query, undefined)
    if (pricing.catalogue === undefined) return fromCatalogue(query, pricing, emptyCatalogue)
    if (catalogue) return fromCatalogue(query, pricing, catalogue)
    loading ??= load().catch((error: unknown) => {
      onFailure?.(error)
      return emptyCatalogue
    })
    return loading.then((list) => {
      catalogue = list
      return fromCatalogue(query, pricing, list)
    })
  }

  return {
    find(query) {
      const { provider, model, upstreamModel } = query
      const entry = cache.get(provider)?.get(upstreamModel)?.get(model)
      const isCached = entry && (entry.until === Infinity || now() < entry.until)
      return isCached ? applicablePrice(entry.price, query) : resolve(query)
    },
  }
}

const emptyCatalogue: PriceCatalogue = { find: () => undefined }

function applicablePrice(price: Price | undefined, { operation }: PriceQuery): Price | undefined {
  if (!price?.rates || price.rates.output || !operation.producesText) return price
  return price.reported ? { rates: undefined, reported: true } : undefined
}

interface ConfiguredPrice {
  readonly price: Price
  matches(query: PriceQuery): boolean
}

function rate(perMillion: number | undefined): Rate | undefined {
  return perMillion === undefined ? undefined : flatRate(perMillion)
}

function compileOverride(override: PriceOverride): ConfiguredPrice {
  const matchesId = compileWildcard(override.model)
  const rates: Rates = {
    input: flatRate(override.input),
    output: rate(override.output),
    cachedInput: rate(override.cachedInput),
    cacheWrite: rate(override.cacheWrite),
    inputAudio: rate(override.inputAudio),
    outputAudio: rate(override.outputAudio),
    request: Math.round((override.request ?? 0) * 1e12),
  }
  return {
    price: { rates, reported: false },
    matches: ({ provider, model, upstreamModel }) =>
      (override.provider === undefined || override.provider === provider) && (matchesId(model) || matchesId(upstreamModel)),
  }
}
