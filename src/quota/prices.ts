import type { PriceOverride } from './config.ts'
import { writesText } from './estimate.ts'
import { patternOf } from './patterns.ts'
import { loadPriceCatalogue, type PriceCatalogue } from './prices-catalogue.ts'
import { flat, freeOfCharge, type Rate, type Rates } from './prices-rates.ts'

/** How the answers of a provider are priced: data of its definition. */
export interface ProviderPricing {
  /** The vendor's name in the price catalogue; absent: it has no list there, and only the configuration knows prices. */
  readonly catalogue?: string
  /** The catalogue's name of a model, where it is not the provider's own id. */
  readonly modelOf?: (upstreamId: string) => string
  /** It runs on machines of the operator's own: its tokens cost nothing, unless the configuration says otherwise. */
  readonly local?: boolean
  /** Its answers say in US dollars what they cost (`usage.cost` and the like), which counts more than the catalogue. */
  readonly reportsCost?: boolean
}

/** What the answers of one model cost. */
export interface Price {
  /** Absent: only the provider's own figure is there, once it has answered. */
  readonly rates: Rates | undefined
  /** The provider's own figure counts where it gives one. */
  readonly reported: boolean
}

export interface PriceQuestion {
  /** What is asked of the model: one without a price for writing is not priced for what writes. */
  readonly capability: string
  readonly provider: string
  readonly upstreamModel: string
  /** The catalogue's id. */
  readonly model: string
}

export interface Prices {
  /** Undefined: no price is known. A promise only before the catalogue is loaded. */
  find(question: PriceQuestion): Price | undefined | Promise<Price | undefined>
}

export interface PricesOptions {
  /** The configuration's, the first that matches counts. */
  overrides: readonly PriceOverride[]
  /** By provider id; a provider that is not in here has no prices but the configuration's. */
  providers: ReadonlyMap<string, ProviderPricing | undefined>
  /** Unix milliseconds. */
  now?: () => number
  load?: () => Promise<PriceCatalogue>
  /** Told when the catalogue could not be loaded: its models then have no price. */
  onFailure?: (error: unknown) => void
}

interface Known {
  readonly price: Price | undefined
  /** Unix milliseconds. */
  readonly until: number
}

/** Models that are remembered of one provider: callers can name models that nobody has listed. */
const mostModels = 2_000
/** Ids of the catalogue that are remembered of one model, each of which may have a price of its own. */
const mostIds = 20

/** Looks prices up: the configuration's, else nothing for local providers, else the catalogue's. Each is remembered by provider and model. */
export function createPrices(options: PricesOptions): Prices {
  const { overrides, providers, now = Date.now, load = loadPriceCatalogue, onFailure } = options
  const configured = overrides.map(toConfigured)
  /** By provider, by its own id of a model, by the catalogue's. */
  const known = new Map<string, Map<string, Map<string, Known>>>()
  let catalogue: PriceCatalogue | undefined
  let loading: Promise<PriceCatalogue> | undefined

  const remember = (question: PriceQuestion, price: Price | undefined, until = Infinity): Price | undefined => {
    let models = known.get(question.provider)
    if (!models || models.size >= mostModels) known.set(question.provider, (models = new Map()))
    let ids = models.get(question.upstreamModel)
    if (!ids || ids.size >= mostIds) models.set(question.upstreamModel, (ids = new Map()))
    ids.set(question.model, { price, until })
    return fittingPrice(price, question)
  }

  const fromCatalogue = (question: PriceQuestion, pricing: ProviderPricing, list: PriceCatalogue): Price | undefined => {
    const { catalogue: vendor, modelOf, reportsCost = false } = pricing
    const { upstreamModel } = question
    const found = vendor === undefined ? undefined : list.find(vendor, modelOf?.(upstreamModel) ?? upstreamModel, now())
    const price = found || reportsCost ? { rates: found?.rates, reported: reportsCost } : undefined
    return remember(question, price, found?.until)
  }

  const lookUp = (question: PriceQuestion): Price | undefined | Promise<Price | undefined> => {
    const own = configured.find((one) => one.matches(question))
    if (own) return remember(question, own.price)
    const pricing = providers.get(question.provider)
    if (pricing?.local) return remember(question, { rates: freeOfCharge, reported: false })
    if (!pricing) return remember(question, undefined)
    if (pricing.catalogue === undefined) return fromCatalogue(question, pricing, emptyCatalogue)
    if (catalogue) return fromCatalogue(question, pricing, catalogue)
    loading ??= load().catch((error: unknown) => {
      onFailure?.(error)
      return emptyCatalogue
    })
    return loading.then((list) => {
      catalogue = list
      return fromCatalogue(question, pricing, list)
    })
  }

  return {
    find(question) {
      const { provider, model, upstreamModel } = question
      const entry = known.get(provider)?.get(upstreamModel)?.get(model)
      const isKnown = entry && (entry.until === Infinity || now() < entry.until)
      return isKnown ? fittingPrice(entry.price, question) : lookUp(question)
    },
  }
}

const emptyCatalogue: PriceCatalogue = { find: () => undefined }

function fittingPrice(price: Price | undefined, { capability }: PriceQuestion): Price | undefined {
  if (!price?.rates || price.rates.output || !writesText(capability)) return price
  return price.reported ? { rates: undefined, reported: true } : undefined
}

interface ConfiguredPrice {
  readonly price: Price
  matches(question: PriceQuestion): boolean
}

function rate(perMillion: number | undefined): Rate | undefined {
  return perMillion === undefined ? undefined : flat(perMillion)
}

function toConfigured(override: PriceOverride): ConfiguredPrice {
  const matchesId = patternOf(override.model)
  const rates: Rates = {
    input: flat(override.input),
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
