import type { Demand, Reservation } from './counters.ts'
import { likelyInput } from './estimate.ts'
import type { CounterUnit } from './governance-limits.ts'
import type { PrincipalPlan, TargetPlan } from './governance-plan.ts'
import type { AdmittedInference, InferenceEnd, InferenceFacts, TokensUsed } from './governance.ts'
import type { Ledger, LedgerEntry } from './ledger.ts'
import { costOf, toNanoDollars, type MaxTokens } from './prices-rates.ts'
import type { Price } from './prices.ts'

/** The worst case of each counter. A cost of 0 is always admitted, also when the budget is used up. */
export function demandsOf({ counters }: TargetPlan, max: MaxTokens, cost: number): Demand[] {
  const demands: Demand[] = []
  for (const counter of counters) demands.push({ counter, amount: unitsOf(counter.unit, max, cost) })
  return demands
}

function unitsOf(unit: CounterUnit, { input, output }: MaxTokens, cost: number): number {
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

/** One inference, from its reservation to its settlement. A single object, as every request has one. */
export class RunningInference implements AdmittedInference {
  readonly facts: InferenceFacts
  /** Absent: only the ledger needs it. */
  readonly target: TargetPlan | undefined
  price: Price | undefined = undefined
  /** The worst case, once it is known. */
  demands: readonly Demand[] = noDemands
  /** Absent: nothing is held. */
  reservation: Reservation | undefined = undefined
  readonly #plan: PrincipalPlan
  readonly #ledger: Ledger | undefined
  #settled = false

  constructor(facts: InferenceFacts, plan: PrincipalPlan, target: TargetPlan | undefined, ledger: Ledger | undefined) {
    this.facts = facts
    this.target = target
    this.#plan = plan
    this.#ledger = ledger
  }

  settle(end: InferenceEnd): void {
    if (this.#settled) return
    this.#settled = true
    const used = tokensUsed(end, this.facts)
    const cost = used ? costOfUse(this.price, used) : 0
    this.reservation?.settle(this.#unitsOf(used, cost ?? 0))
    if (!used) return
    const attempt = this.facts.call.record?.attempt
    if (attempt) {
      attempt.inputTokens = used.input
      attempt.outputTokens = used.output
      attempt.costNanoDollars = cost
    }
    this.#ledger?.record(this.#entryOf(used, cost, end.outcome))
  }

  #unitsOf(used: TokensUsed | undefined, cost: number): number[] {
    const units: number[] = []
    for (const { counter } of this.demands) units.push(used ? unitsOf(counter.unit, used, cost) : 0)
    return units
  }

  #entryOf(used: TokensUsed, cost: number | undefined, outcome: InferenceEnd['outcome']): LedgerEntry {
    const { call, provider, model, operation } = this.facts
    const { principal } = call
    return {
      request_id: call.requestId,
      key_id: principal?.key?.id ?? null,
      principal: principal?.id ?? null,
      attributes: this.#plan.attributes,
      provider,
      model,
      capability: operation.name,
      outcome,
      input_tokens: used.input,
      output_tokens: used.output,
      cached_input_tokens: wholeTokens(used.cachedInput ?? 0),
      reasoning_tokens: wholeTokens(used.reasoning ?? 0),
      estimated: used.estimated ? 1 : 0,
      cost_nano_dollars: cost ?? null,
    }
  }
}

const noDemands: readonly Demand[] = []

/** Undefined: no price is known. */
function costOfUse(price: Price | undefined, used: TokensUsed): number | undefined {
  if (!price) return undefined
  const { reportedDollars } = used
  if (price.reported && reportedDollars !== undefined) return toNanoDollars(reportedDollars)
  return price.rates && costOf(price.rates, used)
}

/**
 * The tokens used: as the provider reported them, but of an incomplete response at least what was received. Without a report, the output received and an
 * estimate of the input. Undefined: none, because it failed before anything was received.
 */
function tokensUsed({ outcome, usage, received = 0 }: InferenceEnd, facts: InferenceFacts): TokensUsed | undefined {
  if (usage) {
    const rounded = roundTokens(usage)
    return outcome !== 'completed' && received > rounded.output ? { ...rounded, output: received, estimated: true } : rounded
  }
  if (received === 0 && (outcome === 'failed' || outcome === 'truncated')) return undefined
  return { input: likelyInput(facts), output: received, estimated: true }
}

/** Rounds up what providers report as fractions. */
function roundTokens(usage: TokensUsed): TokensUsed {
  const input = wholeTokens(usage.input)
  const output = wholeTokens(usage.output)
  return input === usage.input && output === usage.output ? usage : { ...usage, input, output }
}

function wholeTokens(tokens: number): number {
  return tokens > 0 && Number.isFinite(tokens) ? Math.ceil(tokens) : 0
}
