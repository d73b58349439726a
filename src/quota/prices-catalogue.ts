import type { ModelInfo, ModelPrice, TieredPrices } from '@pydantic/genai-prices'
import { flatRate, freeOfCharge, type Rate, type Rates, toPicoDollars } from './prices-rates.ts'

/** What one model costs from now on, and for how long that is sure to hold. */
interface CataloguePrice {
  readonly rates: Rates
  /** Unix milliseconds; absent: for good. Prices may begin on a day, or hold at some hours only. */
  readonly until?: number | undefined
}

/** The price lists of the vendors, as the package `@pydantic/genai-prices` brings them; asks no network. */
export interface PriceCatalogue {
  /** `vendor` is the package's name of it, e.g. `x-ai`. Undefined where it has no price by tokens for that model. */
  find(vendor: string, model: string, at: number): CataloguePrice | undefined
}

/**
 * Loads the package: once, and only where something is to be priced, since that takes some 35 ms and 24 MB.
 */
export async function loadPriceCatalogue(): Promise<PriceCatalogue> {
  const { calcPrice } = await import('@pydantic/genai-prices')
  return {
    find(vendor, model, at) {
      const found = calcPrice({ input_tokens: 0, output_tokens: 0 }, model, { providerId: vendor, timestamp: new Date(at) })
      if (!found) return undefined
      const rates = toRates(found.model_price, found.model)
      return rates && { rates, ...(Array.isArray(found.model.prices) && { until: nextMinute(at) }) }
    },
  }
}

/** Times of day in the lists are whole minutes. */
function nextMinute(at: number): number {
  return Math.floor(at / 60_000) * 60_000 + 60_000
}

/** Only prices by tokens: charges by hours, pages or searches cannot be computed from a response's tokens. */
function toRates(price: ModelPrice, model: ModelInfo): Rates | undefined {
  const rate = (key: string): Rate | undefined => toRate(price[key])
  const input = rate('input_mtok')
  // The package lists models without any price, too; those that are free say so in their names.
  if (!input) return model.id.endsWith(':free') ? freeOfCharge : undefined
  const perThousand = price['requests_kcount']
  return {
    input,
    output: rate('output_mtok'),
    cachedInput: rate('cache_read_mtok'),
    cacheWrite: rate('cache_write_mtok'),
    inputAudio: rate('input_audio_mtok'),
    outputAudio: rate('output_audio_mtok'),
    reasoning: rate('output_reasoning_mtok'),
    request: typeof perThousand === 'number' ? Math.round(perThousand * 1e9) : 0,
  }
}

function toRate(price: number | TieredPrices | undefined): Rate | undefined {
  if (price === undefined) return undefined
  if (typeof price === 'number') return flatRate(price)
  const tiers = price.tiers.map(({ start, price: perMillion }) => ({ over: start, price: toPicoDollars(perMillion) }))
  return { base: toPicoDollars(price.base), tiers: tiers.toSorted((a, b) => a.over - b.over) }
}
