import type { TokensUsed } from './governance.ts'

/** Prices in trillionths of a US dollar for one token: an integer for every price per million with at most six decimals. */
export interface Rate {
  readonly base: number
  /** By rising `over`: the price of all tokens of a request whose input is larger. */
  readonly tiers: readonly { readonly over: number; readonly price: number }[]
}

/** The prices of a model. */
export interface Rates {
  readonly input: Rate
  /** Absent: it generates no text, e.g. embeddings. */
  readonly output?: Rate | undefined
  /** Absent: as other input. */
  readonly cachedInput?: Rate | undefined
  /** Absent: as other input. */
  readonly cacheWrite?: Rate | undefined
  /** Absent: as text. */
  readonly inputAudio?: Rate | undefined
  readonly outputAudio?: Rate | undefined
  /** Absent: as other output. */
  readonly reasoning?: Rate | undefined
  /** Trillionths of a dollar for each request. */
  readonly request: number
}

/** The worst case of a request. */
export interface MaxTokens {
  readonly input: number
  readonly output: number
}

/** `perMillion`: US dollars for a million tokens. */
export function flatRate(perMillion: number): Rate {
  return { base: toPicoDollars(perMillion), tiers: [] }
}

/** Dollars per million as trillionths for one, rounded. */
export function toPicoDollars(perMillion: number): number {
  return Math.round(perMillion * 1e6)
}

/**
 * US dollars as billionths, rounded up. What is smaller than a trillionth is a rounding error of the number: $0.0037756 is 3,775,600, not one
 * more.
 */
export function toNanoDollars(dollars: number): number {
  return Math.min(Math.ceil(Math.round(dollars * 1e12) / 1000), Number.MAX_SAFE_INTEGER)
}

export const freeOfCharge: Rates = { input: flatRate(0), output: flatRate(0), request: 0 }

/**
 * The cost of a response in billionths of a US dollar, rounded up once: the parts are added up exactly. Every token is charged once: cached,
 * cache-writing and spoken input are parts of the input, spoken output and reasoning parts of the output.
 */
export function costOf(rates: Rates, usage: TokensUsed): number {
  const input = count(usage.input)
  const cached = Math.min(count(usage.cachedInput), input)
  const written = Math.min(count(usage.cacheWrite), input - cached)
  const audioInput = Math.min(count(usage.inputAudio), input - cached - written)
  const output = count(usage.output)
  const audioOutput = Math.min(count(usage.outputAudio), output)
  const reasoning = Math.min(count(usage.reasoning), output - audioOutput)
  const outputRate = rates.output ?? noRate
  return new ExactSum()
    .add(input - cached - written - audioInput, priceAt(rates.input, input))
    .add(cached, priceAt(rates.cachedInput ?? rates.input, input))
    .add(written, priceAt(rates.cacheWrite ?? rates.input, input))
    .add(audioInput, priceAt(rates.inputAudio ?? rates.input, input))
    .add(output - audioOutput - reasoning, priceAt(outputRate, input))
    .add(audioOutput, priceAt(rates.outputAudio ?? outputRate, input))
    .add(reasoning, priceAt(rates.reasoning ?? outputRate, input))
    .add(1, rates.request)
    .inNanoDollars()
}

/** The maximum cost of a response within these bounds, however its tokens divide: never less than its `costOf`. */
export function maxCostOf(rates: Rates, max: MaxTokens): number {
  const { input, cachedInput, cacheWrite, inputAudio, output, outputAudio, reasoning, request } = rates
  const size = max.input
  const inputPrice = Math.max(
    highestPrice(input, size),
    highestPrice(cachedInput, size),
    highestPrice(cacheWrite, size),
    highestPrice(inputAudio, size),
  )
  const written = Math.max(highestPrice(output, size), highestPrice(outputAudio, size), highestPrice(reasoning, size))
  return new ExactSum().add(count(max.input), inputPrice).add(count(max.output), written).add(1, request).inNanoDollars()
}

const noRate: Rate = flatRate(0)

function priceAt({ base, tiers }: Rate, input: number): number {
  let price = base
  for (const tier of tiers) if (input > tier.over) price = tier.price
  return price
}

/** The highest price that may apply up to so much input. */
function highestPrice(rate: Rate | undefined, input: number): number {
  if (!rate) return 0
  let highest = rate.base
  for (const tier of rate.tiers) if (input > tier.over) highest = Math.max(highest, tier.price)
  return highest
}

/** Tokens as a non-negative integer, whatever a provider reports. */
function count(tokens: number | undefined): number {
  return tokens !== undefined && tokens > 0 ? Math.min(Math.ceil(tokens), maxCountedTokens) : 0
}

/** More than any response has: a larger report is an error of the provider. */
const maxCountedTokens = 1e12

/** Adds trillionths of a dollar exactly: as a number while it is safe, then as a bigint. */
class ExactSum {
  #small = 0
  #large: bigint | undefined

  add(tokens: number, price: number): this {
    const sum = this.#small + tokens * price
    if (sum <= Number.MAX_SAFE_INTEGER) this.#small = sum
    else this.#large = (this.#large ?? 0n) + BigInt(tokens) * BigInt(price)
    return this
  }

  /** Rounded up. */
  inNanoDollars(): number {
    if (this.#large === undefined) return Math.ceil(this.#small / 1000)
    const nano = (BigInt(this.#small) + this.#large + 999n) / 1000n
    return nano > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(nano)
  }
}
