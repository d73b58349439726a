import type { Demand, Reservation } from './counters.ts'
import { likelyInput } from './estimate.ts'
import type { Unit } from './governance-limits.ts'
import type { Plan, TargetPlan } from './governance-plan.ts'
import type { Admitted, InferenceEnd, InferenceFacts, TokensUsed } from './governance.ts'
import type { Ledger } from './ledger.ts'
import { costOf, type MostTokens } from './prices-rates.ts'
import type { Price } from './prices.ts'

/** What a running answer holds of its limits. */
export interface Held {
  readonly reservation: Reservation
  readonly demands: readonly Demand[]
}

/** What an answer takes at worst of each counter. Nothing can always be had: what costs nothing runs on when the budget is used up. */
export function demandsOf({ counters }: TargetPlan, most: MostTokens, cost: number): Demand[] {
  return counters.map((counter) => ({ counter, amount: unitsOf(counter.unit, most, cost) }))
}

function unitsOf(unit: Unit, { input, output }: MostTokens, cost: number): number {
  switch (unit) {
    case 'requests':
    case 'slots':
      return 1
    case 'input_tokens':
      return input
    case 'output_tokens':
      return output
    case 'total_tokens':
      return input + output
    default:
      return cost
  }
}

export interface RunningOptions {
  readonly facts: InferenceFacts
  readonly plan: Plan
  readonly price: Price | undefined
  /** Absent: nothing is held. */
  readonly held: Held | undefined
  readonly ledger: Ledger | undefined
}

/** One answer on its way. */
export class Running implements Admitted {
  readonly #options: RunningOptions
  #settled = false

  constructor(options: RunningOptions) {
    this.#options = options
  }

  settle(end: InferenceEnd): void {
    if (this.#settled) return
    this.#settled = true
    const { facts, price, held, ledger } = this.#options
    const used = usedOf(end, facts)
    const cost = used ? costOfUse(price, used) : 0
    if (held) held.reservation.settle(held.demands.map(({ counter }) => settledUnits(counter.unit, used, cost ?? 0)))
    if (!used) return
    const { notes } = facts.call
    if (notes) {
      notes.inputTokens = used.input
      notes.outputTokens = used.output
      if (cost !== undefined) notes.costNanoDollars = cost
    }
    if (ledger) ledger.record(entryOf(this.#options, used, { cost, outcome: end.outcome }))
  }
}

function settledUnits(unit: Unit, used: TokensUsed | undefined, cost: number): number {
  return used ? unitsOf(unit, used, cost) : 0
}

/** Undefined: no price is known. */
function costOfUse(price: Price | undefined, used: TokensUsed): number | undefined {
  if (!price) return undefined
  const { reportedDollars } = used
  if (price.reported && reportedDollars !== undefined) return Math.min(Math.ceil(reportedDollars * 1e9), Number.MAX_SAFE_INTEGER)
  return price.rates && costOf(price.rates, used)
}

/**
 * What an answer took. Where the provider says it, that; but never less than what came of an answer that did not end. Where it says nothing,
 * what came is counted and the input is estimated. Undefined: nothing, because it failed before anything came.
 */
function usedOf({ outcome, usage, came = 0 }: InferenceEnd, facts: InferenceFacts): TokensUsed | undefined {
  if (usage) {
    const whole = { ...usage, input: wholeTokens(usage.input), output: wholeTokens(usage.output) }
    return outcome !== 'completed' && came > whole.output ? { ...whole, output: came, estimated: true } : whole
  }
  if (came === 0 && (outcome === 'failed' || outcome === 'truncated')) return undefined
  return { input: likelyInput(facts), output: came, estimated: true }
}

function wholeTokens(tokens: number): number {
  return tokens > 0 && Number.isFinite(tokens) ? Math.ceil(tokens) : 0
}

function entryOf({ facts, plan }: RunningOptions, used: TokensUsed, { cost, outcome }: { cost: number | undefined; outcome: string }) {
  const { call, provider, model, capability } = facts
  const { principal } = call
  return {
    request_id: call.requestId,
    key_id: principal?.key?.id ?? null,
    principal: principal?.id ?? null,
    attributes: plan.attributes,
    provider,
    model,
    capability,
    outcome,
    input_tokens: used.input,
    output_tokens: used.output,
    cached_input_tokens: wholeTokens(used.cachedInput ?? 0),
    reasoning_tokens: wholeTokens(used.reasoning ?? 0),
    estimated: used.estimated ? 1 : 0,
    cost_nano_dollars: cost ?? null,
  }
}
